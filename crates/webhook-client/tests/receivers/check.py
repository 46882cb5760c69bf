"""Verifies the vectors of a file with the example for Python. Prints what differs, and the number of vectors."""
import json
import sys

sys.dont_write_bytecode = True
examples, vectors = sys.argv[1:]
sys.path.insert(0, examples)

from verify import verify  # noqa: E402

count = 0
with open(vectors, encoding="utf-8") as lines:
    for line in lines:
        vector = json.loads(line)
        try:
            verify([vector["secret"]], vector["headers"], vector["body"].encode(), vector["now"])
            found = "valid"
        except ValueError:
            found = "invalid"
        if found != vector["expected"]:
            print(f"{vector['name']}: {found}")
        count += 1
print(count)
