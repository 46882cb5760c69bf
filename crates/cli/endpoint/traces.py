"""Replaces the X-Ray daemon and X-Ray: receives the segments of functions over UDP, and returns them by trace id.

Nothing else of X-Ray is here: no sampling, no service map, and the traces are gone when the endpoint ends.
"""

import collections
import json
import socket
import threading

from origin_check import respond

# The path of `BatchGetTraces`.
_PATH = "/Traces"
_MAX_TRACES = 5_000
_MAX_SEGMENTS = 200
# The maximum of UDP.
_MAX_DATAGRAM = 65_535
_MAX_REQUEST = 16_384


class Traces:
    """Keeps the segments of the latest traces."""

    def __init__(self):
        self._lock = threading.Lock()
        self._by_trace = collections.OrderedDict()

    def listen(self, port):
        """Receives datagrams at this port of 127.0.0.1 until the process ends. Returns the socket."""
        daemon = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        daemon.bind(("127.0.0.1", port))
        threading.Thread(target=self._receive, args=(daemon,), daemon=True).start()
        return daemon

    def _receive(self, daemon):
        while True:
            try:
                datagram = daemon.recv(_MAX_DATAGRAM)
            except OSError:
                return
            self.add(datagram)

    def add(self, datagram):
        """Adds the document of a datagram, whose first line is its format. Ignores what is not a segment, like the daemon."""
        try:
            document = datagram.split(b"\n", 1)[1].decode()
            segment = json.loads(document)
            trace_id, segment_id = str(segment["trace_id"]), str(segment["id"])
        except (IndexError, KeyError, TypeError, ValueError):
            return
        with self._lock:
            segments = self._by_trace.setdefault(trace_id, {})
            # A segment replaces the one with its id.
            if segment_id in segments or len(segments) < _MAX_SEGMENTS:
                segments[segment_id] = document
            while len(self._by_trace) > _MAX_TRACES:
                self._by_trace.popitem(last=False)

    def get(self, trace_ids):
        """Returns the response of `BatchGetTraces`."""
        with self._lock:
            found = [(trace_id, dict(self._by_trace[trace_id])) for trace_id in trace_ids if trace_id in self._by_trace]
        traces = [
            {"Id": trace_id, "Segments": [{"Id": name, "Document": document} for name, document in segments.items()]}
            for trace_id, segments in found
        ]
        return {"Traces": traces, "UnprocessedTraceIds": []}

    def served(self, app):
        """Returns the ASGI application with the request for traces."""

        async def application(scope, receive, send):
            if scope["type"] != "http" or scope["path"] != _PATH or scope["method"] != "POST":
                await app(scope, receive, send)
                return
            body, more = b"", True
            while more and len(body) <= _MAX_REQUEST:
                message = await receive()
                body, more = body + message.get("body", b""), message.get("more_body", False)
            try:
                trace_ids = [str(trace_id) for trace_id in json.loads(body)["TraceIds"]]
            except (KeyError, TypeError, ValueError):
                await respond(send, 400, b"application/json", b'{"message": "TraceIds is required"}')
                return
            await respond(send, 200, b"application/json", json.dumps(self.get(trace_ids)).encode())

        return application
