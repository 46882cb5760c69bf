"""Tests of the Python part of the local stack. `cargo test -p roadcast-cli endpoint` runs them."""

import asyncio
import json
import socket
import threading
import time
import types
import unittest

from any_method import read_any_methods
from invocations import Invocations
from origin_check import checked, refusal
from start import with_quiesce
from traces import Traces


def headers(**fields):
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]


async def call(app, scope):
    """Calls an ASGI application and returns the messages that it sends."""
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent


async def accepting(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})


class OriginCheck(unittest.TestCase):
    def test_local_host_without_origin_is_allowed(self):
        for host in ("127.0.0.1", "127.0.0.1:4566", "localhost:4566", "LOCALHOST"):
            self.assertIsNone(refusal(headers(host=host)), host)

    def test_other_host_is_refused(self):
        hosts = ("evil.example", "evil.example:4566", "127.0.0.1.evil.example", "localhost.", "127.0.0.1:4566@evil", "",
                 "0.0.0.0:4566", "bucket.localhost:4566")
        for host in hosts:
            self.assertIsNotNone(refusal(headers(host=host)), host)
        self.assertIsNotNone(refusal([]))
        self.assertIsNotNone(refusal(headers(host="127.0.0.1") + headers(host="evil.example")))

    def test_origin_must_be_that_of_the_request(self):
        def of(origin):
            return refusal(headers(host="127.0.0.1:4566", origin=origin))

        self.assertIsNone(of("http://127.0.0.1:4566"))
        for origin in ("null", "https://evil.example", "http://127.0.0.1:3000", "http://localhost:4566", ""):
            self.assertIsNotNone(of(origin), origin)

    def test_request_without_origin_from_another_site_is_refused(self):
        for site in ("cross-site", "same-site"):
            self.assertIsNotNone(refusal(headers(host="127.0.0.1:4566", sec_fetch_site=site)), site)
        for site in ("same-origin", "none"):
            self.assertIsNone(refusal(headers(host="127.0.0.1:4566", sec_fetch_site=site)), site)

    def test_refused_request_does_not_reach_the_application(self):
        app = checked(accepting)
        evil = headers(host="evil.example")
        sent = asyncio.run(call(app, {"type": "http", "headers": evil}))
        self.assertEqual(sent[0]["status"], 403)
        sent = asyncio.run(call(app, {"type": "websocket", "headers": evil}))
        self.assertEqual([message["type"] for message in sent], ["websocket.close"])
        sent = asyncio.run(call(app, {"type": "http", "headers": headers(host="localhost")}))
        self.assertEqual(sent[0]["status"], 204)
        sent = asyncio.run(call(app, {"type": "lifespan"}))
        self.assertEqual(sent[0]["status"], 204)


class Quiesce(unittest.TestCase):
    def test_stop_waits_for_running_invocations(self):
        invocations = Invocations()
        finished = []
        execute = invocations.function(lambda _function, _event: (time.sleep(0.8), finished.append(True)))
        thread = threading.Thread(target=execute, args=({}, {"detail-type": "stored"}))
        thread.start()
        self.assertEqual(asyncio.run(invocations.stop(5)), 0)
        self.assertEqual(finished, [True])
        thread.join()

    def test_stopped_mapping_polls_no_more(self):
        invocations = Invocations()
        polls = []
        poll = invocations.mapping(lambda: polls.append(True) or True)
        self.assertTrue(poll())
        asyncio.run(invocations.stop(5))
        self.assertFalse(poll())
        self.assertEqual(polls, [True])

    def test_stop_ends_at_its_timeout_and_does_not_wait_for_the_api(self):
        invocations = Invocations()
        release = threading.Event()
        execute = invocations.function(lambda _function, _event: release.wait(5))
        threads = [threading.Thread(target=execute, args=({}, event)) for event in ({"httpMethod": "GET"}, {"Records": []})]
        for thread in threads:
            thread.start()
        self.assertEqual(asyncio.run(invocations.stop(0.1)), 1)
        release.set()
        for thread in threads:
            thread.join()

    def test_failed_invocation_is_no_longer_running(self):
        invocations = Invocations()
        with self.assertRaises(ZeroDivisionError):
            invocations.function(lambda _function, _event: 1 / 0)({}, {})
        self.assertEqual(asyncio.run(invocations.stop(2)), 0)

    def test_quiesce_request_reports_what_is_running(self):
        app = with_quiesce(accepting, Invocations())
        sent = asyncio.run(call(app, {"type": "http", "method": "POST", "path": "/_roadcast/quiesce"}))
        self.assertEqual((sent[0]["status"], sent[1]["body"]), (200, b'{"running": 0}'))
        sent = asyncio.run(call(app, {"type": "http", "method": "GET", "path": "/other"}))
        self.assertEqual(sent[0]["status"], 204)


def datagram(trace_id, segment_id, **members):
    return b'{"format":"json","version":1}\n' + json.dumps({"trace_id": trace_id, "id": segment_id, **members}).encode()


class SegmentsOfTraces(unittest.TestCase):
    def documents(self, traces, *trace_ids):
        found = traces.get(trace_ids)["Traces"]
        return {trace["Id"]: [json.loads(segment["Document"]) for segment in trace["Segments"]] for trace in found}

    def test_segments_are_found_by_trace_and_replaced_by_id(self):
        traces = Traces()
        for segment_id, end in (("a", 1), ("b", 2), ("a", 3)):
            traces.add(datagram("1-x", segment_id, end_time=end))
        traces.add(datagram("1-y", "c"))
        found = self.documents(traces, "1-x", "1-unknown")
        self.assertEqual([(segment["id"], segment["end_time"]) for segment in found["1-x"]], [("a", 3), ("b", 2)])
        self.assertEqual(list(found), ["1-x"])

    def test_what_is_no_segment_is_ignored_and_old_traces_are_dropped(self):
        traces = Traces()
        for text in (b"", b"{}", b"header\n", b"header\n[1]", b"header\n{\"id\": 1}", b"header\n\xff"):
            traces.add(text)
        for number in range(5_001):
            traces.add(datagram(f"1-{number}", "a"))
        for number in range(300):
            traces.add(datagram("1-5000", str(number)))
        found = self.documents(traces, "1-0", "1-1", "1-5000")
        self.assertEqual({trace: len(segments) for trace, segments in found.items()}, {"1-1": 1, "1-5000": 200})

    def test_datagrams_are_received_and_read_over_http(self):
        traces = Traces()
        daemon = traces.listen(0)
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.sendto(datagram("1-x", "a"), daemon.getsockname())
        deadline = time.monotonic() + 5
        while not traces.get(["1-x"])["Traces"] and time.monotonic() < deadline:
            time.sleep(0.01)
        sender.close()
        daemon.close()

        async def post(body):
            sent = []
            parts = [{"body": body[:5], "more_body": True}, {"body": body[5:]}]

            async def receive():
                return parts.pop(0)

            async def send(message):
                sent.append(message)

            await traces.served(accepting)({"type": "http", "method": "POST", "path": "/Traces"}, receive, send)
            return sent[0]["status"], json.loads(sent[1]["body"])

        status, response = asyncio.run(post(b'{"TraceIds": ["1-x"]}'))
        self.assertEqual((status, response["Traces"][0]["Id"]), (200, "1-x"))
        self.assertEqual(asyncio.run(post(b'{"TraceIds": 1}'))[0], 400)
        sent = asyncio.run(call(traces.served(accepting), {"type": "http", "method": "GET", "path": "/Traces"}))
        self.assertEqual(sent[0]["status"], 204)


class AnyMethod(unittest.TestCase):
    def test_extension_is_imported_as_any_with_its_security(self):
        imported = []

        def import_path_item(api_id, path, path_item, scheme_map=None, default_security=None):
            known = {name: value for name, value in path_item.items() if name in gateway._OPENAPI_HTTP_METHODS}
            imported.append((api_id, path, known, scheme_map, default_security))

        gateway = types.SimpleNamespace(_OPENAPI_HTTP_METHODS={"get"}, _import_path_item=import_path_item)
        read_any_methods(gateway)
        item = {"get": 1, "x-amazon-apigateway-any-method": 2, "parameters": 3}
        gateway._import_path_item("api", "/{proxy+}", item, {"cognito": 4}, [5])
        self.assertEqual(imported, [("api", "/{proxy+}", {"get": 1, "any": 2}, {"cognito": 4}, [5])])


if __name__ == "__main__":
    unittest.main()
