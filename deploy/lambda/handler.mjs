// A Lambda function that loads into Redshift through Sluice with nothing but its role: no secret in its code, its
// environment or its configuration. SLUICE_HOST, SLUICE_SERVER_ID, SLUICE_USER, SLUICE_DATABASE; NODE_EXTRA_CA_CERTS
// where Sluice's certificate is not from a public CA.
import pg from "pg";
import { sluiceToken } from "./sluice_token.mjs";

const { SLUICE_HOST, SLUICE_PORT = "5439", SLUICE_SERVER_ID, SLUICE_USER, SLUICE_DATABASE = "dev" } = process.env;

export async function handler(event) {
  // The token is made as the connection is: a frozen environment would wake up with an old one.
  const client = new pg.Client({
    host: SLUICE_HOST, port: Number(SLUICE_PORT), user: SLUICE_USER, database: SLUICE_DATABASE,
    ssl: { rejectUnauthorized: true }, password: () => sluiceToken(SLUICE_SERVER_ID),
  });
  await client.connect();
  try {
    const { rows } = await client.query(event.sql, event.values);
    return rows;
  } finally {
    await client.end();
  }
}
