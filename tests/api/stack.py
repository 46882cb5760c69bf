"""Access to a running stack for the API tests. Uses only the standard library, Python 3.9 or newer."""

import base64
import json
import os
import pathlib
import shlex
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The command of the tool. It reads the folder of the stack from ROADCAST_DIR.
TOOL = shlex.split(os.environ.get("ROADCAST", "cargo roadcast"))
PATIENCE_S = 60


def prepared():
    """Returns the folder with the tools and the contract as plain OpenAPI."""
    made = subprocess.run([ROOT / "tests/api/prepare"], check=True, stdout=subprocess.PIPE, text=True)
    return pathlib.Path(made.stdout.strip())


class Stack:
    """A client of the stack in a folder."""

    def __init__(self, folder=None):
        if folder:
            os.environ["ROADCAST_DIR"] = str(pathlib.Path(folder).resolve())
        shown = subprocess.run([*TOOL, "--json", "status"], cwd=ROOT, check=True, stdout=subprocess.PIPE)
        status = json.loads(shown.stdout)
        self.api, self.token_url = status["api"], status["tokenUrl"]
        self.admin = status["tokens"]["admin"]
        # The API is local, so no proxy is used.
        self.http = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def send(self, method, path, token=None, body=None, media_type="application/json"):
        """Sends a request. Returns status, headers and body."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.api + path, data, method=method)
        if data is not None:
            request.add_header("Content-Type", media_type)
        if token is not None:
            request.add_header("Authorization", "Bearer " + token)
        try:
            with self.http.open(request) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def call(self, method, path, token, body=None, media_type="application/json"):
        """Sends a request that must succeed. Returns the JSON of the response, or None."""
        status, _, answer = self.send(method, path, token, body, media_type)
        if status >= 300:
            raise SystemExit(f"{method} {path}: {status} {answer.decode(errors='replace')}")
        return json.loads(answer) if answer else None

    def client(self, **client):
        """Creates an app client. Returns an access token for its credentials."""
        made = self.call("POST", "/clients", self.admin, client)
        credentials = base64.b64encode(f"{made['clientId']}:{made['clientSecret']}".encode()).decode()
        request = urllib.request.Request(self.token_url, b"grant_type=client_credentials")
        request.add_header("Authorization", "Basic " + credentials)
        with self.http.open(request) as answer:
            return json.load(answer)["access_token"]

    def until(self, what, condition):
        """Waits until a condition returns a true value. Returns that value."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            result = condition()
            if result:
                return result
            time.sleep(0.5)
        raise SystemExit(f"no {what} after {PATIENCE_S} s")
