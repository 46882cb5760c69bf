"""A function with the clients of `vehicles-api` in Python, with a runtime loop in place of the Lambda runtime."""
import http.client, json, os

import boto3

table = boto3.client("dynamodb")
secrets = boto3.client("secretsmanager")
runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
PATH = "/2018-06-01/runtime/invocation/"


def request(method, path, body=None):
    runtime.request(method, path, body)
    response = runtime.getresponse()
    return response.headers, response.read()


def handle(event):
    if event["path"].endswith("/secret"):
        secrets.get_secret_value(SecretId="s")
    elif event["path"] != "/health":
        table.get_item(TableName="t", Key={"pk": {"S": "k"}})
    return {"statusCode": 200, "body": '{"status":"ok"}'}


while True:
    headers, body = request("GET", PATH + "next")
    response = json.dumps(handle(json.loads(body)))
    request("POST", f"{PATH}{headers['lambda-runtime-aws-request-id']}/response", response)
