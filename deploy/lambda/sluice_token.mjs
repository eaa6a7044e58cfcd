// A password for one login to Sluice, made of the keys this process has; no network is used.
//
//   const client = new pg.Client({ user: "events_loader", ssl: true, ...,
//     password: () => sluiceToken("sluice-prod-us-east-1") });
//
// Called for each connect: a token is good for some minutes, and a frozen function wakes up with an old one.
// The packages are those of the AWS SDK, which Lambda's Node runtimes carry.
import { Sha256 } from "@aws-crypto/sha256-js";
import { fromNodeProviderChain } from "@aws-sdk/credential-providers";
import { HttpRequest } from "@smithy/protocol-http";
import { SignatureV4 } from "@smithy/signature-v4";

const BOUND = "x-sluice-server-id"; // signed, not sent: binds the token to this server

export async function sluiceToken(serverId, region = process.env.AWS_REGION ?? "us-east-1",
                                  credentials = fromNodeProviderChain()) {
  const hostname = `sts.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`;
  const signer = new SignatureV4({ credentials, region, service: "sts", sha256: Sha256 });
  const request = new HttpRequest({
    method: "GET", protocol: "https:", hostname, path: "/",
    query: { Action: "GetCallerIdentity", Version: "2011-06-15" },
    headers: { host: hostname, [BOUND]: serverId },
  });
  const signed = await signer.presign(request, {
    expiresIn: 900, signableHeaders: new Set(["host", BOUND]), unhoistableHeaders: new Set([BOUND]),
  });
  const query = Object.entries(signed.query).map((pair) => pair.map(encodeURIComponent).join("="));
  return "sluice-sts-v1." + Buffer.from(`https://${hostname}/?${query.join("&")}`).toString("base64url");
}

if (process.argv[1]?.endsWith("sluice_token.mjs"))
  console.log(await sluiceToken(...process.argv.slice(2, 4)));
