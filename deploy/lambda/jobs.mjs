// What a job's statement is: an item {job, statement} of the DynamoDB table JOBS_TABLE, kept for a minute. In a VPC
// without NAT it is reached by the table's gateway endpoint, with no change here: the SDK asks the regional name.
import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";
import { NodeHttpHandler } from "@smithy/node-http-handler";

const KEPT_MS = 60_000;
const dynamo = new DynamoDBClient({
  accountIdEndpointMode: "disabled", maxAttempts: 2,
  requestHandler: new NodeHttpHandler({ connectionTimeout: 1000, requestTimeout: 2000 }),
});
const kept = new Map();

export async function statementOf(job) {
  const known = kept.get(job);
  if (known && Date.now() < known.until) return known.statement;
  const { Item } = await dynamo.send(new GetItemCommand({ TableName: process.env.JOBS_TABLE, Key: { job: { S: job } } }))
    .catch((error) => {
      if (!/timeout|ETIMEDOUT|ENOTFOUND|ECONNREFUSED/i.test(`${error.name} ${error.code} ${error.message}`)) throw error;
      throw new Error(`DynamoDB cannot be reached (${error.message}): the function's subnets need a gateway endpoint for ` +
        "DynamoDB on their route table, or a NAT gateway; a public subnet does not help a function", { cause: error });
    });
  if (!Item?.statement?.S) throw new Error(`no job ${job} in ${process.env.JOBS_TABLE}`);
  kept.set(job, { statement: Item.statement.S, until: Date.now() + KEPT_MS });
  return Item.statement.S;
}
