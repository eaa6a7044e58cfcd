#!/usr/bin/env python3
"""sts.py PORT DIR: AWS as logins by token need it: STS for presigned requests, and an issuer's keys.

    GET /?Action=GetCallerIdentity...   the signature is checked, over the headers that really came
    GET /jwks.json                      DIR/jwks.json

DIR/keys: lines "KEY_ID SECRET ARN"; a KEY_ID that ends with * is a prefix. DIR/fault, DIR/keys_fault: what
goes wrong, read anew for each request: hold (until the file changes), 500, throttle, json, doctype, large,
two, account, redirect; absent or empty: nothing. DIR/requests gets a line for each request.
"""
import asyncio
import hashlib
import hmac
import os
import sys
import urllib.parse

PORT, DIR = int(sys.argv[1]), sys.argv[2]
NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


def read(name):
    try:
        with open(os.path.join(DIR, name)) as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def key_of(key_id):
    for line in read("keys").splitlines():
        known, secret, arn = line.split()
        if known == key_id or (known.endswith("*") and key_id.startswith(known[:-1])):
            return secret, arn
    return None, None


def signature(secret, query, headers):
    values = dict(urllib.parse.parse_qsl(query))
    signed = values["X-Amz-SignedHeaders"]
    canonical = "\n".join([
        "GET", "/", "&".join(sorted(p for p in query.split("&") if not p.startswith("X-Amz-Signature="))),
        "".join(f"{name}:{headers.get(name, '').strip()}\n" for name in signed.split(";")), signed,
        hashlib.sha256(b"").hexdigest()])
    scope = values["X-Amz-Credential"].split("/", 1)[1]
    text = "\n".join(["AWS4-HMAC-SHA256", values["X-Amz-Date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + secret.encode()
    for part in scope.split("/") + [text]:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex(), values


def error(status, code):
    return status, "text/xml", (f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type><Code>{code}</Code>'
                                "<Message>no</Message></Error><RequestId>1</RequestId></ErrorResponse>")


def identity(arn, fault):
    account = "999999999999" if fault == "account" else arn.split(":")[4]
    result = (f"<GetCallerIdentityResult><Arn>{arn}</Arn><UserId>AROAEXAMPLE:s</UserId><Account>{account}</Account>"
              "</GetCallerIdentityResult>")
    body = (f'<GetCallerIdentityResponse xmlns="{NAMESPACE}">{result * (2 if fault == "two" else 1)}'
            "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>")
    if fault == "json":  # what a lenient reader would find in an answer that reflects a stranger's words
        return 200, "application/json", '{"Error":"' + body.replace('"', '\\"') + '"}'
    if fault == "doctype":
        entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "ha"}">' for i in range(10))
        return 200, "text/xml", f"<!DOCTYPE x [{entities}]>" + body.replace("<RequestId>1", "<RequestId>&e9;")
    if fault == "large":
        return 200, "text/xml", body.replace("<RequestId>1", "<RequestId>" + "1" * (10 << 20))
    return 200, "text/xml", body


async def held(name):
    while read(name) == "hold":
        await asyncio.sleep(0.05)


async def sts(query, headers):
    fault = read("fault")
    if fault == "hold":
        await held("fault")
    if fault == "500":
        return 500, "text/html", "<html>oh</html>"
    if fault == "throttle":
        return error(400, "Throttling")
    if fault == "redirect":
        return 302, "text/xml", ""
    values = urllib.parse.parse_qs(query)
    if values.get("Action") != ["GetCallerIdentity"]:
        return error(400, "InvalidAction")
    secret, arn = key_of(values["X-Amz-Credential"][0].split("/")[0])
    if not secret:
        return error(403, "InvalidClientTokenId")
    expected, got = signature(secret, query, headers)
    if not hmac.compare_digest(expected, got["X-Amz-Signature"]):
        return error(403, "SignatureDoesNotMatch")
    return identity(arn, fault)


async def keys():
    fault = read("keys_fault")
    if fault == "hold":
        await held("keys_fault")
    if fault == "500":
        return 500, "text/html", "<html>oh</html>"
    return 200, "application/json", read("jwks.json")


async def serve(reader, writer):
    try:
        while True:
            line = (await reader.readline()).decode()
            if not line:
                break
            headers = {}
            while (field := (await reader.readline()).decode().strip()):
                name, _, value = field.partition(":")
                headers[name.lower()] = value.strip()
            path, _, query = line.split()[1].partition("?")
            with open(os.path.join(DIR, "requests"), "a") as log:
                log.write(path + "\n")
            status, kind, body = await (keys() if path == "/jwks.json" else sts(query, headers))
            more = f"Location: http://127.0.0.1:{PORT}/redirected\r\n" if status == 302 else ""
            writer.write(f"HTTP/1.1 {status} x\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
                         f"{body}".encode())
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", PORT, limit=1 << 20, backlog=4096)
    async with server:
        await server.serve_forever()

asyncio.run(main())
