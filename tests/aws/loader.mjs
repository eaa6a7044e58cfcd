// loader.mjs: a loader as people run it in Lambda. It puts files and a manifest into a bucket, connects through Sluice
// with a token of its role, and sends its work as one message of several statements: COPY, with keys in it.
// MODE: load, or missing (the manifest is not there), or read (a SELECT, which it may not). One line of JSON: what came of it.
import pg from "pg";
import { Sha256 } from "@aws-crypto/sha256-js";
import { HttpRequest } from "@smithy/protocol-http";
import { SignatureV4 } from "@smithy/signature-v4";
import { fromNodeProviderChain } from "@aws-sdk/credential-providers";
import { sluiceToken } from "./sluice_token.mjs";

const { S3, BUCKET, MODE, SLUICE_HOST, SLUICE_PORT, SLUICE_SERVER_ID, SLUICE_USER } = process.env;
const credentials = fromNodeProviderChain();

async function put(key, body) {
  const { hostname, port } = new URL(S3);
  const signer = new SignatureV4({ credentials, region: "us-east-1", service: "s3", sha256: Sha256, uriEscapePath: false });
  const path = `/${BUCKET}/${key.split("/").map(encodeURIComponent).join("/")}`;
  const { headers } = await signer.sign(new HttpRequest({
    method: "PUT", protocol: "http:", hostname, port: Number(port), path, body, headers: { host: `${hostname}:${port}` } }));
  const answer = await fetch(S3 + path, { method: "PUT", body, headers });
  if (!answer.ok) throw new Error(`${key}: ${answer.status}`);
}

function message(manifest, keys) {
  return `set statement_timeout to 50000;
begin;
delete from stage;
truncate table public.t1;
COPY public.t1 (a,b) from 's3://${BUCKET}/${manifest}' with credentials as 'aws_access_key_id=${keys.accessKeyId};aws_secret_access_key=${keys.secretAccessKey};token=${keys.sessionToken}' manifest format csv delimiter '|'
 IGNOREHEADER 1
FILLRECORD EMPTYASNULL
;
analyze public.t1;
commit;`;
}

const said = { notices: [] };
const client = new pg.Client({
  host: SLUICE_HOST, port: Number(SLUICE_PORT), user: SLUICE_USER, database: "dev", application_name: "loader",
  ssl: { rejectUnauthorized: true }, password: () => sluiceToken(SLUICE_SERVER_ID),
});
client.on("notice", (notice) => said.notices.push(notice.message));
await client.connect();
try {
  const manifest = `manifest/manifest-${new Date().toISOString().replace("T", " ").slice(0, 19)}-7547`;
  if (MODE === "load") {
    await put("in/1.csv", "a|b\n1|one\n2|\"two|and more\"\n");
    await put("in/2.csv", "a|b\n3|\n");
    await put(manifest, JSON.stringify({ entries: [1, 2].map((n) => ({ url: `s3://${BUCKET}/in/${n}.csv`, mandatory: true })) }));
  }
  const results = await client.query(MODE === "read" ? "select a, b from public.t1" : message(manifest, await credentials()));
  said.commands = [results].flat().map((one) => one.command);
} catch (e) {
  Object.assign(said, { error: e.message, code: e.code, detail: e.detail });
  await client.query("rollback"); // the same session goes on, as the loader's retries do
}
await client.end();
console.log(JSON.stringify(said));
