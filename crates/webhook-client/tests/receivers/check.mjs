// Verifies the vectors of a file with the example for Node.js. Prints what differs, and the number of vectors.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [examples, vectors] = process.argv.slice(2);
const { verify } = await import(pathToFileURL(`${examples}/verify.mjs`));

const lines = readFileSync(vectors, "utf8").trimEnd().split("\n");
for (const line of lines) {
  const vector = JSON.parse(line);
  let found = "valid";
  try {
    verify([vector.secret], vector.headers, Buffer.from(vector.body), vector.now);
  } catch {
    found = "invalid";
  }
  if (found !== vector.expected) console.log(`${vector.name}: ${found}`);
}
console.log(lines.length);
