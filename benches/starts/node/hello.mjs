// A function with the clients of `vehicles-api` on Node.js, with a runtime loop in place of the Lambda runtime.
import http from "node:http";
import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";
import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";

const table = new DynamoDBClient({});
const secrets = new SecretsManagerClient({});
const agent = new http.Agent({ keepAlive: true });
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");

function request(method, path, body) {
  return new Promise((resolve, reject) => {
    const sent = http.request({ agent, host, port, method, path }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks).toString() }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

async function handle(event) {
  if (event.path.endsWith("/secret")) await secrets.send(new GetSecretValueCommand({ SecretId: "s" }));
  else if (event.path !== "/health") await table.send(new GetItemCommand({ TableName: "t", Key: { pk: { S: "k" } } }));
  return { statusCode: 200, body: '{"status":"ok"}' };
}

for (;;) {
  const { headers, body } = await request("GET", "/2018-06-01/runtime/invocation/next");
  const response = JSON.stringify(await handle(JSON.parse(body)));
  await request("POST", `/2018-06-01/runtime/invocation/${headers["lambda-runtime-aws-request-id"]}/response`, response);
}
