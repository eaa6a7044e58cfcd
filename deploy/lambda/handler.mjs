// A Lambda function that loads into Redshift through Sluice with nothing but its role: no secret in its code, its
// environment or its configuration. {"sql": "insert into ...", "values": [...]}, or {"job": "events", "values": [...]} for
// a statement that the DynamoDB table JOBS_TABLE names. SLUICE_HOST, SLUICE_SERVER_ID, SLUICE_USER, SLUICE_DATABASE;
// NODE_EXTRA_CA_CERTS where Sluice's certificate is not from a public CA.
import pg from "pg";
import { sluiceToken } from "./sluice_token.mjs";
import { statementOf } from "./jobs.mjs";

const { SLUICE_HOST, SLUICE_PORT = "5439", SLUICE_SERVER_ID, SLUICE_USER, SLUICE_DATABASE = "dev" } = process.env;
const PROBE_AFTER_MS = Number(process.env.PROBE_AFTER_MS ?? 5000);

// Outside of the handler: one connection for as long as the environment lives, which is frozen between calls.
let client, lastUse = 0;

async function connect() {
  const next = new pg.Client({
    host: SLUICE_HOST, port: Number(SLUICE_PORT), user: SLUICE_USER, database: SLUICE_DATABASE,
    ssl: { rejectUnauthorized: true }, connectionTimeoutMillis: 3000, keepAlive: true,
    password: () => sluiceToken(SLUICE_SERVER_ID), // made as the connection is: good for minutes, and once
  });
  // What ends while nobody asks is no exception, it is the next call's business.
  next.on("error", () => { if (client === next) client = undefined; });
  next.on("end", () => { if (client === next) client = undefined; });
  await next.connect();
  return next;
}

// After a freeze the other end may be gone without a word. An empty statement tells, and does nothing if it was done
// twice; the caller's own is never sent a second time, since nobody knows whether the first took effect.
async function answers(one) {
  const late = new Promise((_, fail) => setTimeout(fail, 2000, new Error("no answer")).unref());
  return Promise.race([one.query(""), late]).then(() => true, () => false);
}

export async function handler(event) {
  const text = event.job ? await statementOf(event.job) : event.sql;
  if (client && Date.now() - lastUse > PROBE_AFTER_MS && !(await answers(client))) {
    client?.end().catch(() => {});
    client = undefined;
  }
  client ??= await connect();
  try {
    return (await client.query(text, event.values)).rows;
  } finally {
    lastUse = Date.now();
  }
}
