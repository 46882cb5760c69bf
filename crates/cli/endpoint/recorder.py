"""Records which calls of AWS services the functions make, so that a test can compare them with the rights of their roles.

Each distinct call is one line of a text file: the function, the service, the operation, the resource and, for DynamoDB, the
partition keys, which IAM calls leading keys. A transaction has one line for each table and kind of action, because IAM
checks those. Names and keys are generalized, so that the file contains neither data nor the ids of fleets and vehicles:
`client#4f…` becomes `client#*`. Callers whose access key id is not the name of a function are not recorded.
"""

import json
import re
import threading
from urllib.parse import parse_qsl, unquote

_CREDENTIAL = re.compile(r"Credential=([^/,]+)/[0-9]{8}/[^/]+/([a-z0-9-]+)/aws4_request")
# The ids that Roadcast generates: three letters, an underscore and 16 base32 characters.
_ID = re.compile(r"\b([a-z]{3}_)[0-9a-z]{16}\b")
_SECRET_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}$")
_FOLDER = re.compile(r"[a-z][a-z-]*")
_EQUALS = re.compile(r"([#\w]+)\s*=\s*(:\w+)")
_NOT_FOUND = 404
# Begins the names of all functions.
_FUNCTION = "roadcast-"


def caller_and_service(headers):
    """Returns the access key id and the service in the signature of a request; None if there is none."""
    for name, value in headers:
        if name.lower() == b"authorization":
            match = _CREDENTIAL.search(value.decode("latin-1"))
            return match.groups() if match else None
    return None


def generalized_key(value):
    """Returns a partition key without what differs between items of the same kind."""
    text = str(next(iter(value.values()))) if isinstance(value, dict) and value else str(value)
    identified = _ID.match(text)
    if identified:
        return f"{identified.group(1)}*"
    kind, separator, _ = text.partition("#")
    return f"{kind}#*" if separator else kind


def generalized_name(name):
    """Returns the name of a resource, from its name, URL or ARN, without ids."""
    return _ID.sub("*", name.rsplit("/", 1)[-1].rsplit(":", 1)[-1])


class DynamoDb:
    """The calls of DynamoDB. `partition_attribute` returns the name of the partition key of a table."""

    def __init__(self, partition_attribute):
        self._partition_attribute = partition_attribute

    def calls(self, operation, body):
        """Yields operation, table and partition keys of each part of a request."""
        if operation in ("TransactWriteItems", "TransactGetItems"):
            parts = [(kind, part) for item in body["TransactItems"] for kind, part in item.items()]
            for kind, table in sorted({(kind, part["TableName"]) for kind, part in parts}):
                chosen = [part for of, part in parts if of == kind and part["TableName"] == table]
                yield f"{operation}/{kind}", table, {self._of(table, part.get("Key") or part.get("Item")) for part in chosen}
        elif operation == "BatchGetItem":
            for table, request in body["RequestItems"].items():
                yield operation, table, {self._of(table, key) for key in request["Keys"]}
        elif operation == "BatchWriteItem":
            for table, requests in body["RequestItems"].items():
                parts = [part for request in requests for part in request.values()]
                yield operation, table, {self._of(table, part.get("Key") or part.get("Item")) for part in parts}
        elif operation == "Query":
            yield operation, body["TableName"], {self._queried(body)}
        else:
            item = body.get("Key") or body.get("Item")
            yield operation, body["TableName"], {self._of(body["TableName"], item)} if item else set()

    def _of(self, table, item):
        return generalized_key(item[self._partition_attribute(table)])

    def _queried(self, body):
        names, values = body.get("ExpressionAttributeNames", {}), body["ExpressionAttributeValues"]
        for name, value in _EQUALS.findall(body["KeyConditionExpression"]):
            if names.get(name, name) == self._partition_attribute(body["TableName"]):
                return generalized_key(values[value])
        raise ValueError("a query without a partition key")


def _event_calls(operation, body):
    if operation == "PutEvents":
        for bus in sorted({entry.get("EventBusName", "default") for entry in body["Entries"]}):
            yield operation, generalized_name(bus)
        return
    if operation == "CreateEventBus":
        bus = generalized_name(body["Name"])
        yield operation, bus
        if body.get("Tags"):
            yield "CreateEventBus/Tags", bus
        return
    rule = f"{generalized_name(body.get('EventBusName', 'default'))}/{generalized_name(body.get('Name') or body['Rule'])}"
    yield operation, rule
    if operation == "PutRule" and body.get("Tags"):
        yield "PutRule/Tags", rule


def _queue_calls(operation, body):
    queue = generalized_name(body.get("QueueName") or body["QueueUrl"])
    yield operation, queue
    if operation == "CreateQueue" and body.get("tags"):
        yield "CreateQueue/Tags", queue


# The member of a request that names its resource.
_RESOURCE_MEMBERS = {
    # An iterator does not name its stream, and the stack has one.
    "kinesis": lambda body: generalized_name(body.get("StreamName") or body.get("StreamARN") or "roadcast-local-telemetry"),
    "secretsmanager": lambda body: _SECRET_SUFFIX.sub("", generalized_name(body["SecretId"])),
    "states": lambda body: generalized_name(body["stateMachineArn"]),
    # The ids of the user pool and of the key are generated, and there is one of each.
    "cognito-idp": lambda body: "user-pool" if body["UserPoolId"] else "",
    "kms": lambda body: "key" if body["KeyId"] else "",
}


def json_calls(service, operation, body, dynamodb):
    """Yields the parts of a request to a service with a JSON protocol: operation, resource and partition keys."""
    if service == "dynamodb":
        yield from dynamodb.calls(operation, body)
    elif service == "events":
        yield from ((*call, ()) for call in _event_calls(operation, body))
    elif service == "sqs":
        yield from ((*call, ()) for call in _queue_calls(operation, body))
    else:
        yield operation, _RESOURCE_MEMBERS[service](body), ()


def form_calls(body):
    """Yields the parts of a request to SNS, whose protocol is a form."""
    members = dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True))
    yield members["Action"], generalized_name(members["TopicArn"]), ()


def _deletion(parameters, multipart):
    if multipart:
        return "AbortMultipartUpload"
    return "DeleteObjectVersion" if "versionId" in parameters else "DeleteObject"


def s3_call(method, path, query, status):
    """Returns operation and resource of a request to S3 with the bucket in the path. Of a missing object, it is the bucket:
    S3 returns 404 to callers that may list the bucket, and 403 to others."""
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    if not key:
        return f"{method} {'versions' if 'versions' in parameters else 'bucket'}", bucket
    if status == _NOT_FOUND and method in ("GET", "HEAD"):
        return "missing object", bucket
    multipart = "uploadId" in parameters or "uploads" in parameters
    operations = {
        "GET": "GetObjectVersion" if "versionId" in parameters else "GetObject",
        "HEAD": "HeadObject",
        "PUT": "UploadPart" if multipart else "PutObject",
        "POST": "CreateMultipartUpload" if "uploads" in parameters else "CompleteMultipartUpload",
        "DELETE": _deletion(parameters, multipart),
    }
    folders = []
    for folder in key.split("/")[:-1]:
        if not _FOLDER.fullmatch(folder):
            break
        folders.append(folder)
    return operations.get(method, method), "/".join([bucket, *folders, "*"])


def rest_call(service, method, path, query, status):
    """Returns operation and resource of a request to a service whose operations are paths."""
    if service == "s3":
        return s3_call(method, path, query, status)
    if service == "lambda" and path.endswith("/invocations"):
        return "Invoke", generalized_name(unquote(path).rstrip("/").split("/")[-2])
    return f"{method} {_ID.sub('*', path)}", "*"


def named_credentials(create):
    """Returns the creation of a function's credentials, with the name of the function as the access key id."""

    def named(config):
        return {**create(config), "AWS_ACCESS_KEY_ID": config["FunctionName"]}

    return named


class Recorder:
    """Appends each distinct call of a function to a file."""

    def __init__(self, path, partition_attribute):
        self._path = path
        self._dynamodb = DynamoDb(partition_attribute)
        self._lock = threading.Lock()
        self._lines = set()

    def recorded(self, app):
        """Returns the ASGI application that records the calls of functions before it responds."""

        async def application(scope, receive, send):
            signed = caller_and_service(scope.get("headers", [])) if scope["type"] == "http" else None
            if signed is None or not signed[0].startswith(_FUNCTION):
                await app(scope, receive, send)
                return
            caller, service = signed
            target = next((value for name, value in scope["headers"] if name.lower() == b"x-amz-target"), None)
            if target is not None:
                messages = await _messages(receive)
                operation = target.decode("latin-1").rsplit(".", 1)[-1]
                body = b"".join(message.get("body", b"") for message in messages)
                self._record_json(caller, service, operation, body)
                await app(scope, _replayed(messages, receive), send)
                return
            if service == "sns":
                messages = await _messages(receive)
                self._record_form(caller, service, b"".join(message.get("body", b"") for message in messages))
                await app(scope, _replayed(messages, receive), send)
                return

            async def recording_send(message):
                if message["type"] == "http.response.start":
                    query = scope.get("query_string", b"").decode("latin-1")
                    operation, resource = rest_call(service, scope["method"], scope["path"], query, message["status"])
                    self._record(caller, service, operation, resource, ())
                await send(message)

            await app(scope, receive, recording_send)

        return application

    def _record_json(self, caller, service, operation, body):
        try:
            calls = list(json_calls(service, operation, json.loads(body), self._dynamodb))
        except (KeyError, TypeError, ValueError):
            # The test fails on a call of an unknown form, and states it.
            calls = [(operation, "*", ())]
        for part, resource, keys in calls:
            self._record(caller, service, part, resource, keys)

    def _record_form(self, caller, service, body):
        try:
            calls = list(form_calls(body))
        except (KeyError, UnicodeDecodeError):
            calls = [("unknown", "*", ())]
        for operation, resource, keys in calls:
            self._record(caller, service, operation, resource, keys)

    def _record(self, caller, service, operation, resource, keys):
        line = " ".join([caller, service, operation.replace(" ", "-"), resource, *sorted(keys)])
        with self._lock:
            if line in self._lines:
                return
            self._lines.add(line)
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(f"{line}\n")


async def _messages(receive):
    messages = []
    while True:
        message = await receive()
        messages.append(message)
        if message["type"] != "http.request" or not message.get("more_body", False):
            return messages


def _replayed(messages, receive):
    remaining = list(messages)

    async def replay():
        return remaining.pop(0) if remaining else await receive()

    return replay

