"""Starts the local AWS endpoint with the check of origins, methods `ANY`, traces, retries of API destinations, a request that
prepares its end and, if a file is named, a recording of the calls of functions."""

import importlib
import json
import os
import sys
import urllib.request

from any_method import read_any_methods
from api_destinations import ApiDestinations
from invocations import Invocations
from origin_check import checked, respond
from recorder import Recorder, named_credentials
from traces import Traces

# `POST` to it stops the event source mappings and waits for running invocations. Send it before the endpoint is stopped.
_QUIESCE_PATH = "/_roadcast/quiesce"
# The stream processor may run for two minutes, but the process that stops the stack does not wait that long.
_TIMEOUT_S = 45
# The file to which the calls of functions are appended; unset, nothing is recorded.
_RECORDED_CALLS = "ROADCAST_RECORDED_CALLS"
# The port of the endpoint. Segments of traces are received at the UDP port with this number.
_PORT = "GATEWAY_PORT"


def with_quiesce(app, invocations):
    """Returns the ASGI application with the additional request."""

    async def application(scope, receive, send):
        if scope["type"] == "http" and scope["path"] == _QUIESCE_PATH and scope["method"] == "POST":
            running = await invocations.stop(_TIMEOUT_S)
            await respond(send, 200, b"application/json", json.dumps({"running": running}).encode())
        else:
            await app(scope, receive, send)

    return application


def partition_attribute(table_name):
    """Returns the name of the partition key of a table of the endpoint."""
    tables = importlib.import_module("ministack.services.dynamodb")._tables
    return next(table["pk_name"] for (_account, _region, name), table in tables.all_items() if name == table_name)


def send_message(queue_arn, body, attributes):
    """Sends a message to a queue of the endpoint."""
    account, name = queue_arn.split(":")[4:6]
    url = f"http://127.0.0.1:{os.environ[_PORT]}"
    message = {"QueueUrl": f"{url}/{account}/{name}", "MessageBody": body, "MessageAttributes": attributes}
    headers = {"X-Amz-Target": "AmazonSQS.SendMessage", "Content-Type": "application/x-amz-json-1.0"}
    request = urllib.request.Request(url, json.dumps(message).encode(), headers)
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).close()


def main():
    endpoint = importlib.import_module("ministack.app")
    functions = importlib.import_module("ministack.services.lambda_svc")
    invocations = Invocations()
    # The names are those of the pinned version. A missing one ends the start with an AttributeError.
    for name in ("_poll_kinesis", "_poll_sqs", "_poll_dynamodb_streams"):
        setattr(functions, name, invocations.mapping(getattr(functions, name)))
    name = "_execute_function_with_config_scope"
    setattr(functions, name, invocations.function(getattr(functions, name)))
    events = importlib.import_module("ministack.services.eventbridge")
    destinations = ApiDestinations(events, send_message)
    events._invoke_target = destinations.invoked(events._invoke_target)
    events._dispatch_to_api_destination = destinations.dispatched(events._dispatch_to_api_destination)
    read_any_methods(importlib.import_module("ministack.services.apigateway_v1"))
    app = endpoint.app
    path = os.environ.get(_RECORDED_CALLS)
    if path:
        functions.execution_credentials = named_credentials(functions.execution_credentials)
        app = Recorder(path, partition_attribute).recorded(app)
    traces = Traces()
    try:
        traces.listen(int(os.environ[_PORT]))
    except (KeyError, ValueError, OSError) as error:
        print(f"traces are not kept: {error}", file=sys.stderr)
    endpoint.app = checked(with_quiesce(traces.served(app), invocations))
    endpoint.main()


if __name__ == "__main__":
    main()
