"""Tests of the recording of calls. `cargo test -p roadcast-cli endpoint` runs them."""

import asyncio
import json
import os
import tempfile
import unittest

from recorder import DynamoDb, Recorder, form_calls, generalized_key, json_calls, named_credentials, s3_call

TABLES = {"reference": "pk", "vehicles": "vid", "feedIndex": "feed"}
DYNAMODB = DynamoDb(TABLES.__getitem__)


def calls(service, operation, body):
    return [(part, resource, sorted(keys)) for part, resource, keys in json_calls(service, operation, body, DYNAMODB)]


def key(value, attribute="pk"):
    return {attribute: {"S": value}}


class GeneralizedNames(unittest.TestCase):
    def test_key_is_reduced_to_its_kind(self):
        for value, expected in {"vin#4f0a": "vin#*", "external#bus#2619": "external#*", "packages": "packages",
                                "veh_0123456789abcdef": "veh_*", "flt_0123456789abcdef#2026-11-03T09": "flt_*"}.items():
            self.assertEqual(generalized_key({"S": value}), expected)

    def test_queue_and_rule_of_a_fleet_have_no_id(self):
        url = "http://127.0.0.1:4566/000000000000/roadcast-local-feed-flt_0123456789abcdef-dlq"
        self.assertEqual(calls("sqs", "DeleteQueue", {"QueueUrl": url}), [("DeleteQueue", "roadcast-local-feed-*-dlq", [])])
        rule = {"EventBusName": "delivery", "Name": "feed-flt_0123456789abcdef", "Tags": [{"Key": "a", "Value": "b"}]}
        self.assertEqual([part[:2] for part in calls("events", "PutRule", rule)],
                         [("PutRule", "delivery/feed-*"), ("PutRule/Tags", "delivery/feed-*")])

    def test_topic_is_that_of_the_form(self):
        form = b"Action=Publish&TopicArn=arn%3Aaws%3Asns%3Aeu-central-1%3A000000000000%3Aroadcast-local-operator-alerts&Message="
        self.assertEqual(list(form_calls(form)), [("Publish", "roadcast-local-operator-alerts", ())])

    def test_secret_has_no_generated_suffix(self):
        arn = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:roadcast-local-secret-aB3dE6"
        self.assertEqual(calls("secretsmanager", "GetSecretValue", {"SecretId": arn}),
                         [("GetSecretValue", "roadcast-local-secret", [])])


class DynamoDbCalls(unittest.TestCase):
    def test_transaction_is_recorded_by_table_and_kind_of_action(self):
        items = [
            {"Put": {"TableName": "reference", "Item": {**key("vin#1"), "sk": {"S": "vehicle"}}}},
            {"Put": {"TableName": "reference", "Item": key("owned#c")}},
            {"Put": {"TableName": "vehicles", "Item": key("veh_0123456789abcdef", "vid")}},
            {"ConditionCheck": {"TableName": "reference", "Key": key("fleet#1")}},
        ]
        self.assertEqual(calls("dynamodb", "TransactWriteItems", {"TransactItems": items}), [
            ("TransactWriteItems/ConditionCheck", "reference", ["fleet#*"]),
            ("TransactWriteItems/Put", "reference", ["owned#*", "vin#*"]),
            ("TransactWriteItems/Put", "vehicles", ["veh_*"]),
        ])

    def test_batches_are_recorded_by_table(self):
        read = {"RequestItems": {"reference": {"Keys": [key("vin#1"), key("vin#2"), key("external#a#b")]}}}
        self.assertEqual(calls("dynamodb", "BatchGetItem", read), [("BatchGetItem", "reference", ["external#*", "vin#*"])])
        write = {"RequestItems": {"feedIndex": [{"PutRequest": {"Item": key("flt_0123456789abcdef#h", "feed")}},
                                                {"DeleteRequest": {"Key": key("flt_0123456789abcdee#h", "feed")}}]}}
        self.assertEqual(calls("dynamodb", "BatchWriteItem", write), [("BatchWriteItem", "feedIndex", ["flt_*"])])

    def test_query_has_the_partition_and_scan_has_no_key(self):
        query = {"TableName": "reference", "KeyConditionExpression": "#p = :p AND #s BETWEEN :a AND :b",
                 "ExpressionAttributeNames": {"#p": "pk", "#s": "sk"},
                 "ExpressionAttributeValues": {":p": {"S": "fleet#1"}, ":a": {"S": "a"}, ":b": {"S": "b"}}}
        self.assertEqual(calls("dynamodb", "Query", query), [("Query", "reference", ["fleet#*"])])
        self.assertEqual(calls("dynamodb", "Scan", {"TableName": "reference"}), [("Scan", "reference", [])])


class S3Calls(unittest.TestCase):
    def test_object_is_reduced_to_its_folders(self):
        self.assertEqual(s3_call("PUT", "/archive/raw/2026/11/03/x.zst", "", 200), ("PutObject", "archive/raw/*"))
        self.assertEqual(s3_call("GET", "/bulk/reports/parts/a1", "x-id=GetObject", 200),
                         ("GetObject", "bulk/reports/parts/*"))

    def test_operation_follows_from_method_and_parameters(self):
        for method, query, expected in (("GET", "versionId=1", "GetObjectVersion"), ("HEAD", "", "HeadObject"),
                                        ("POST", "uploads", "CreateMultipartUpload"),
                                        ("PUT", "partNumber=1&uploadId=u", "UploadPart"),
                                        ("POST", "uploadId=u", "CompleteMultipartUpload"),
                                        ("DELETE", "uploadId=u", "AbortMultipartUpload"), ("DELETE", "", "DeleteObject"),
                                        ("DELETE", "versionId=1", "DeleteObjectVersion")):
            self.assertEqual(s3_call(method, "/bulk/reports/a", query, 200), (expected, "bulk/reports/*"))

    def test_missing_object_is_a_call_on_the_bucket(self):
        self.assertEqual(s3_call("GET", "/bulk/vin-map/a", "versionId=1", 404), ("missing object", "bulk"))


class Recording(unittest.TestCase):
    REQUEST = {"TableName": "reference", "Key": key("client#1")}

    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self._folder.name, "calls")
        self.recorder = Recorder(self.path, TABLES.__getitem__)

    def tearDown(self):
        self._folder.cleanup()

    def call(self, caller, service, body=None, target=None, method="POST", path="/", status=200):
        """Calls an application that reads the body, and returns the body that it got."""
        signature = f"AWS4-HMAC-SHA256 Credential={caller}/20261103/eu-central-1/{service}/aws4_request, Signature=x"
        headers = [(b"authorization", signature.encode())]
        if target:
            headers.append((b"x-amz-target", target.encode()))
        text = json.dumps(body).encode()
        halves = [{"type": "http.request", "body": text[:5], "more_body": True},
                  {"type": "http.request", "body": text[5:], "more_body": False}]
        got = []

        async def receive():
            return halves.pop(0)

        async def app(_scope, receive, send):
            while not got or got[-1]["more_body"]:
                got.append(await receive())
            await send({"type": "http.response.start", "status": status, "headers": []})

        async def send(_message):
            pass

        scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
        asyncio.run(self.recorder.recorded(app)(scope, receive, send))
        self.assertEqual(b"".join(message["body"] for message in got), text)

    def lines(self):
        if not os.path.exists(self.path):
            return []
        with open(self.path, encoding="utf-8") as file:
            return file.read().splitlines()

    def test_credentials_have_the_name_of_the_function(self):
        create = named_credentials(lambda _config: {"AWS_ACCESS_KEY_ID": "0", "AWS_SECRET_ACCESS_KEY": "s"})
        expected = {"AWS_ACCESS_KEY_ID": "roadcast-a", "AWS_SECRET_ACCESS_KEY": "s"}
        self.assertEqual(create({"FunctionName": "roadcast-a"}), expected)

    def test_distinct_calls_of_functions_are_recorded_once(self):
        for _ in range(2):
            self.call("roadcast-a", "dynamodb", self.REQUEST, "DynamoDB_20120810.GetItem")
        self.call("roadcast-a", "s3", method="GET", path="/bulk/vin-map/a", status=404)
        expected = ["roadcast-a dynamodb GetItem reference client#*", "roadcast-a s3 missing-object bulk"]
        self.assertEqual(self.lines(), expected)

    def test_calls_of_others_are_not_recorded(self):
        self.call("test", "dynamodb", self.REQUEST, "DynamoDB_20120810.GetItem")
        self.assertEqual(self.lines(), [])

    def test_call_of_unknown_form_is_recorded_for_any_resource(self):
        self.call("roadcast-a", "dynamodb", {"Statement": "SELECT 1"}, "DynamoDB_20120810.ExecuteStatement")
        self.call("roadcast-a", "athena", {}, "AmazonAthena.StartQueryExecution")
        self.assertEqual(self.lines(), ["roadcast-a dynamodb ExecuteStatement *", "roadcast-a athena StartQueryExecution *"])


if __name__ == "__main__":
    unittest.main()
