"""Starts the local AWS endpoint with the check of origins, and with a request that prepares its end."""

import importlib
import json

from invocations import Invocations
from origin_check import checked, respond

# `POST` to it stops the event source mappings and waits for running invocations. Send it before the endpoint is stopped.
_QUIESCE_PATH = "/_roadcast/quiesce"
# The stream processor may run for two minutes, but the process that stops the stack does not wait that long.
_TIMEOUT_S = 45


def with_quiesce(app, invocations):
    """Returns the ASGI application with the additional request."""

    async def application(scope, receive, send):
        if scope["type"] == "http" and scope["path"] == _QUIESCE_PATH and scope["method"] == "POST":
            running = await invocations.stop(_TIMEOUT_S)
            await respond(send, 200, b"application/json", json.dumps({"running": running}).encode())
        else:
            await app(scope, receive, send)

    return application


def main():
    endpoint = importlib.import_module("ministack.app")
    functions = importlib.import_module("ministack.services.lambda_svc")
    invocations = Invocations()
    # The names are those of the pinned version. A missing one ends the start with an AttributeError.
    for name in ("_poll_kinesis", "_poll_sqs", "_poll_dynamodb_streams"):
        setattr(functions, name, invocations.mapping(getattr(functions, name)))
    name = "_execute_function_with_config_scope"
    setattr(functions, name, invocations.function(getattr(functions, name)))
    endpoint.app = checked(with_quiesce(endpoint.app, invocations))
    endpoint.main()


if __name__ == "__main__":
    main()
