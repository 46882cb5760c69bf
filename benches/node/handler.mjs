// A Lambda function in Node.js that parses, validates and decodes a batch of the stream: Powertools and ajv.
//
// `handler.mjs INPUTS ROUNDS` prints the samples per second of CPU time. `benches/run` creates the inputs.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { BatchProcessorSync, EventType, processPartialResponseSync } from '@aws-lambda-powertools/batch';
import Ajv from 'ajv';
import addFormats from 'ajv-formats';

const [inputs, rounds] = [process.argv[2], Number(process.argv[3])];
const signals = JSON.parse(readFileSync(join(inputs, 'signals.json')));
const text = { type: 'string', minLength: 1 };
const instant = { type: 'string', format: 'date-time' };
const signal = ({ min, max }) => ({
  type: 'number',
  ...(min !== null && { minimum: min }),
  ...(max !== null && { maximum: max }),
});
const sample = {
  type: 'object',
  required: ['at', 'signals'],
  properties: {
    at: instant,
    signals: { type: 'object', properties: Object.fromEntries(signals.map((row) => [row.path, signal(row)])) },
  },
};
const ajv = new Ajv();
addFormats(ajv);
const isUpload = ajv.compile({
  type: 'object',
  required: ['specversion', 'id', 'source', 'type', 'subject', 'time', 'data'],
  properties: {
    specversion: { const: '1.0' },
    id: text,
    source: text,
    type: { const: 'roadcast.telemetry.v1' },
    subject: text,
    time: instant,
    data: {
      type: 'object',
      required: ['samples'],
      properties: { samples: { type: 'array', minItems: 1, maxItems: 500, items: sample } },
    },
  },
});

const scales = signals.map(({ path, decimals }) => [path, 10 ** decimals]);
const processor = new BatchProcessorSync(EventType.KinesisDataStreams);
let accepted = [];

function recordHandler(record) {
  const upload = JSON.parse(Buffer.from(record.kinesis.data, 'base64').toString('utf8'));
  if (!isUpload(upload)) throw new Error(ajv.errorsText(isUpload.errors));
  for (const { at, signals: sent } of upload.data.samples) {
    const values = {};
    for (const [path, scale] of scales) {
      if (path in sent) values[path] = Math.round(sent[path] * scale) / scale;
    }
    accepted.push([upload.subject, Date.parse(at), values]);
  }
}

// Handles one event, including its parsing, which the runtime does on Lambda.
function handler(payload) {
  const event = JSON.parse(payload);
  return processPartialResponseSync(event, recordHandler, processor, { throwOnFullBatchFailure: false });
}

// The number of samples, and the sum of each signal in multiples of its resolution.
function digest() {
  const sum = (path, scale) => accepted.reduce((sum, [, , values]) => sum + Math.round((values[path] ?? 0) * scale), 0);
  return { samples: accepted.length, sums: Object.fromEntries(scales.map(([path, scale]) => [path, sum(path, scale)])) };
}

const files = readdirSync(inputs).filter((name) => /^json-.*\.json$/.test(name)).sort();
const payloads = files.map((name) => readFileSync(join(inputs, name)));
assert.deepEqual(handler(payloads[0]), { batchItemFailures: [] });
assert.deepEqual(digest(), JSON.parse(readFileSync(join(inputs, 'expected.json'))), 'the values differ from those of Roadcast');

// The first rounds only warm up: the compiler of Node.js optimises what runs often.
const warmUp = 10;
let [total, samples] = [0, 0];
for (let n = 0; n < warmUp + rounds; n += 1) {
  accepted = [];
  const start = process.cpuUsage();
  handler(payloads[n % payloads.length]);
  const { user, system } = process.cpuUsage(start);
  if (n >= warmUp) {
    total += (user + system) / 1e6;
    samples += accepted.length;
  }
}
console.log(samples / total);
