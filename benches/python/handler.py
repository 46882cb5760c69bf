"""A Lambda function in Python that parses, validates and decodes a batch of the stream: Powertools and pydantic.

`handler.py INPUTS ROUNDS` prints the samples per second of CPU time. `benches/run` creates the inputs.
"""

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.kinesis_stream_event import KinesisStreamRecord
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, create_model

inputs, rounds = Path(sys.argv[1]), int(sys.argv[2])
SIGNALS = json.loads((inputs / "signals.json").read_text())
DECIMALS = [(f"signal_{n}", signal["path"], signal["decimals"]) for n, signal in enumerate(SIGNALS)]


def signal_field(signal):
    """Returns the type of a signal: a finite number within the range of the catalogue, which may be absent."""
    bounds = {name: signal[end] for name, end in (("ge", "min"), ("le", "max")) if signal[end] is not None}
    return Annotated[float | None, Field(alias=signal["path"], allow_inf_nan=False, **bounds)]


Signals = create_model("Signals", **{f"signal_{n}": (signal_field(signal), None) for n, signal in enumerate(SIGNALS)})


class Sample(BaseModel):
    at: AwareDatetime
    signals: Signals


class Data(BaseModel):
    samples: Annotated[list[Sample], Field(min_length=1, max_length=500)]


class Upload(BaseModel):
    model_config = ConfigDict(extra="allow")

    specversion: Literal["1.0"]
    id: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    type: Literal["roadcast.telemetry.v1"]
    subject: Annotated[str, Field(min_length=1)]
    time: AwareDatetime
    data: Data


processor = BatchProcessor(event_type=EventType.KinesisDataStreams)
accepted = []


def record_handler(record: KinesisStreamRecord):
    upload = Upload.model_validate_json(record.kinesis.data_as_bytes())
    for sample in upload.data.samples:
        values = {}
        for field, path, decimals in DECIMALS:
            value = getattr(sample.signals, field)
            if value is not None:
                values[path] = round(value, decimals)
        accepted.append((upload.subject, sample.at, values))


def handler(payload: bytes):
    """Handles one event, including its parsing, which the runtime does on Lambda."""
    return process_partial_response(json.loads(payload), record_handler, processor, None)


def digest():
    """Returns the number of samples, and the sum of each signal in multiples of its resolution."""
    scale = {path: 10**decimals for _, path, decimals in DECIMALS}
    sums = {path: sum(round(values[path] * scale[path]) for _, _, values in accepted if path in values) for path in scale}
    return {"samples": len(accepted), "sums": sums}


payloads = [file.read_bytes() for file in sorted(inputs.glob("json-*.json"))]
assert handler(payloads[0]) == {"batchItemFailures": []}
assert digest() == json.loads((inputs / "expected.json").read_text()), "the values differ from those of Roadcast"

total, samples = 0.0, 0
for n in range(rounds + 1):
    accepted.clear()
    start = time.process_time()
    handler(payloads[n % len(payloads)])
    elapsed = time.process_time() - start
    # The first round only warms up.
    if n > 0:
        total += elapsed
        samples += len(accepted)
print(samples / total)
