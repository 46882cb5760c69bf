import { createHmac, timingSafeEqual } from "node:crypto";

const TOLERANCE_S = 300;

/** Throws unless `body`, a Buffer with the bytes as they were received, was signed with one of the secrets. */
export function verify(secrets, headers, body, now = Date.now() / 1000) {
  for (const name of ["webhook-id", "webhook-timestamp", "webhook-signature"]) {
    if (!headers[name]) throw new Error(`the header ${name} is missing`);
  }
  const timestamp = headers["webhook-timestamp"];
  if (!/^[0-9]+$/.test(timestamp)) throw new Error("webhook-timestamp is not a number");
  if (Math.abs(Number(timestamp) - Math.floor(now)) > TOLERANCE_S) {
    throw new Error("the message is too old, or the clock is wrong");
  }
  const signatures = headers["webhook-signature"]
    .split(" ")
    .filter((text) => text.startsWith("v1,"))
    .map((text) => Buffer.from(text.slice(3)));
  for (const secret of secrets) {
    const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
    const hmac = createHmac("sha256", key).update(`${headers["webhook-id"]}.${timestamp}.`).update(body);
    const expected = Buffer.from(hmac.digest("base64"));
    const matches = (signature) => signature.length === expected.length && timingSafeEqual(signature, expected);
    if (signatures.some(matches)) return;
  }
  throw new Error("no signature matches");
}
