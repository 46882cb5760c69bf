import base64
import hashlib
import hmac
import time

TOLERANCE_S = 300


def verify(secrets, headers, body, now=None):
    """Raises ValueError unless `body` was signed with one of the secrets.

    `headers` has names in lower case. `body` has the bytes as they were received.
    """
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        if not headers.get(name):
            raise ValueError(f"the header {name} is missing")
    timestamp = headers["webhook-timestamp"]
    if not (timestamp.isascii() and timestamp.isdigit()):
        raise ValueError("webhook-timestamp is not a number")
    if abs(int(timestamp) - int(time.time() if now is None else now)) > TOLERANCE_S:
        raise ValueError("the message is too old, or the clock is wrong")
    signed = f"{headers['webhook-id']}.{timestamp}.".encode() + body
    signatures = [text[3:].encode() for text in headers["webhook-signature"].split(" ") if text.startswith("v1,")]
    for secret in secrets:
        key = base64.b64decode(secret[6:] if secret.startswith("whsec_") else secret)
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
        if any(hmac.compare_digest(expected, signature) for signature in signatures):
            return
    raise ValueError("no signature matches")
