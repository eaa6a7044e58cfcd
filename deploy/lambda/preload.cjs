// For a loader whose code stays as it is: gives node-postgres a token as its password, made anew for each connect.
//
//   NODE_OPTIONS="--require /opt/sluice/preload.cjs"     SLUICE_SERVER_ID=sluice-prod     SLUICE_HOST=sluice.example.com
//
// In a Lambda layer beside sluice_token.mjs (template.yaml). Only connections to SLUICE_HOST are touched (a list, with
// commas); all others are as they were. What password the code brings (a connection string's, KMS's) is not sent there.
// TLS with a verified certificate is required there, whatever the code said: a token is for nobody else's eyes.
"use strict";
const Module = require("node:module");

const hosts = (process.env.SLUICE_HOST ?? "").split(",").map((h) => h.trim().toLowerCase()).filter(Boolean);
const serverId = process.env.SLUICE_SERVER_ID;
const seen = new WeakSet();

// The token's module is one of ES; it is loaded at the first connect.
let token;
const mint = async () => {
  token ??= import(require("node:url").pathToFileURL(require("node:path").join(__dirname, "sluice_token.mjs")).href);
  return (await token).sluiceToken(serverId);
};

// In a frozen function's life each connect is another moment, so it is done as a connection begins, not as a client is made.
function teach(pg) {
  const prototype = pg?.Client?.prototype;
  if (!prototype || seen.has(prototype)) return;
  seen.add(prototype);
  const connect = prototype.connect;
  prototype.connect = function (...args) {
    if (hosts.includes(String(this.host ?? "").toLowerCase())) {
      const ssl = typeof this.ssl === "object" && this.ssl ? this.ssl : {};
      this.ssl = this.connectionParameters.ssl = { ...ssl, rejectUnauthorized: true };
      if (this.connection) this.connection.ssl = this.ssl;
      this.password = mint;
      this.connectionParameters.password = mint;
    }
    return connect.apply(this, args);
  };
}

if (hosts.length && serverId) {
  const load = Module._load;
  Module._load = function (request, ...rest) {
    const loaded = load.call(this, request, ...rest);
    if (request === "pg" || /[\\/]pg$/.test(request)) teach(loaded);
    return loaded;
  };
} else {
  console.error("sluice: preload.cjs does nothing: SLUICE_HOST and SLUICE_SERVER_ID are not both set");
}
