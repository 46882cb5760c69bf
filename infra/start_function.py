#!/usr/bin/env python3
"""Starts the binary of a function against a mock of the Runtime API of Lambda, and sends it `GET /health`.

    python infra/start_function.py COMMAND...

COMMAND is the binary, or an emulator with the binary as its argument. Fails unless the response is 200 within a minute. The
variables of all functions of template.yaml are set; nothing is called with their values.
"""

import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import threading

TEMPLATE = pathlib.Path(__file__).resolve().parent.parent / "template.yaml"
TIMEOUT_SECONDS = 60
REQUEST_ID = "00000000-0000-0000-0000-000000000000"
EVENT = {
    "resource": "/health",
    "path": "/health",
    "httpMethod": "GET",
    "headers": {},
    "multiValueHeaders": {},
    "queryStringParameters": None,
    "multiValueQueryStringParameters": None,
    "pathParameters": None,
    "stageVariables": None,
    "requestContext": {
        "accountId": "000000000000",
        "apiId": "api",
        "httpMethod": "GET",
        "identity": {"sourceIp": "127.0.0.1"},
        "path": "/test/health",
        "protocol": "HTTP/1.1",
        "requestId": REQUEST_ID,
        "resourceId": "health",
        "resourcePath": "/health",
        "stage": "test",
    },
    "body": None,
    "isBase64Encoded": False,
}


class RuntimeApi(http.server.ThreadingHTTPServer):
    """Hands out one event, and keeps the response to it."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.is_sent = False
        self.response = None
        self.answered = threading.Event()

    def finish(self, response):
        """Keeps the response, or the error that the function reports."""
        self.response = response
        self.answered.set()


class Handler(http.server.BaseHTTPRequestHandler):
    """A request of the function to the Runtime API."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """The next event."""
        if self.server.is_sent:
            threading.Event().wait(TIMEOUT_SECONDS)
            return
        self.server.is_sent = True
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", REQUEST_ID)
        self.send_header("Lambda-Runtime-Deadline-Ms", "4102444800000")
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:000000000000:function:test")
        self._body(json.dumps(EVENT).encode())

    def do_POST(self):
        """The response to the event, or an error."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(202)
        self._body(b"{}")
        self.server.finish((self.path.rsplit("/", 1)[1], body.decode(errors="replace")))

    def _body(self, body):
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Logs nothing."""


def environment(port):
    """Returns the variables that Lambda sets, and those of the template."""
    names = re.findall(r"^          ([A-Z][A-Z_]+): ", TEMPLATE.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        "PATH": os.environ.get("PATH", ""),
        **dict.fromkeys(names, "true"),
        "STAGE": "test",
        "LOG_LEVEL": "info",
        "FIRST_ADMIN_CLIENT_ID": "admin",
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
        "AWS_LAMBDA_FUNCTION_NAME": "test",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_LOG_GROUP_NAME": "test",
        "AWS_LAMBDA_LOG_STREAM_NAME": "test",
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: start_function.py COMMAND...")
    api = RuntimeApi()
    threading.Thread(target=api.serve_forever, daemon=True).start()
    function = subprocess.Popen(sys.argv[1:], env=environment(api.server_address[1]))
    try:
        for _ in range(TIMEOUT_SECONDS * 10):
            if api.answered.wait(0.1):
                break
            if function.poll() is not None:
                sys.exit(f"the function ended with status {function.returncode} before it asked for an event or responded")
        else:
            sys.exit(f"the function did not respond within {TIMEOUT_SECONDS} s")
    finally:
        function.kill()
    kind, body = api.response
    status = json.loads(body).get("statusCode") if kind == "response" else None
    if status != 200:
        sys.exit(f"the function answered with {kind} {body}")
    print("GET /health is 200")


if __name__ == "__main__":
    main()
