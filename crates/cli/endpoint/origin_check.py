"""Refuses requests to the local AWS endpoint that a web page of another origin sends.

The endpoint authenticates no request. It listens on 127.0.0.1 only, but a browser on the same machine reaches it on behalf of
any page: with requests to another origin, or under a host name of the page that resolves to 127.0.0.1 (DNS rebinding).
"""

import re

# The names of this machine, with or without a port. The port is free, so that a forwarded port works too.
_LOCAL_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]{1,5})?", re.IGNORECASE)
# Browsers state where a request comes from, also if it has no `Origin`, as for images. `none` is an entered address.
_ALLOWED_SITES = ("same-origin", "none")


def refusal(headers):
    """Returns why a request with these headers (pairs of bytes) is refused; None if it is allowed."""

    def values(name):
        return [value.decode("latin-1").strip() for key, value in headers if key.lower() == name]

    hosts = values(b"host")
    if len(hosts) != 1 or not _LOCAL_HOST.fullmatch(hosts[0]):
        return "the Host must be 127.0.0.1 or localhost"
    if any(origin.lower() != f"http://{hosts[0].lower()}" for origin in values(b"origin")):
        return "the request comes from a page of another origin"
    if any(site.lower() not in _ALLOWED_SITES for site in values(b"sec-fetch-site")):
        return "the request comes from a page of another origin"
    return None


def checked(app):
    """Returns the ASGI application with the check before each HTTP request and each WebSocket."""

    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        reason = refusal(scope.get("headers", []))
        if reason is None:
            await app(scope, receive, send)
        elif scope["type"] == "http":
            await respond(send, 403, b"text/plain; charset=utf-8", f"Refused: {reason}.\n".encode())
        else:
            # Before the connection is accepted, this is a response with status 403.
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    return application


async def respond(send, status, content_type, body):
    """Sends an entire HTTP response."""
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
