#!/usr/bin/env python3
"""presigned.py PORT MOTO_PORT SECRETS: STS in front of moto, for presigned requests.

moto routes by the Authorization header, which a presigned GET has not. This checks the signature as
STS does, over the headers that really came, and hands the question on with such a header. SECRETS: a
file of lines "key secret".
"""
import hashlib
import hmac
import http.server
import sys
import urllib.parse
import urllib.request

PORT, MOTO = int(sys.argv[1]), sys.argv[2]
SECRETS = dict(line.split() for line in open(sys.argv[3]))
ERROR = ('<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
         "<Code>SignatureDoesNotMatch</Code><Message>no</Message></Error><RequestId>1</RequestId></ErrorResponse>")


def signature(secret, query, headers):
    values = dict(urllib.parse.parse_qsl(query))
    signed = values["X-Amz-SignedHeaders"]
    canonical = "\n".join([
        "GET", "/", "&".join(sorted(p for p in query.split("&") if not p.startswith("X-Amz-Signature="))),
        "".join(f"{name}:{headers[name].strip()}\n" for name in signed.split(";")), signed,
        hashlib.sha256(b"").hexdigest()])
    scope = values["X-Amz-Credential"].split("/", 1)[1]
    text = "\n".join(["AWS4-HMAC-SHA256", values["X-Amz-Date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + secret.encode()
    for part in scope.split("/") + [text]:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex(), values


class Sts(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        query = self.path.partition("?")[2]
        key = urllib.parse.parse_qs(query)["X-Amz-Credential"][0]
        expected, values = signature(SECRETS.get(key.split("/")[0], ""), query, self.headers)
        if not hmac.compare_digest(expected, values["X-Amz-Signature"]):
            self.answer(403, "text/xml", ERROR.encode())
            return
        ask = urllib.request.Request(f"http://127.0.0.1:{MOTO}/", b"Action=GetCallerIdentity&Version=2011-06-15", {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={key}, SignedHeaders=host, Signature=0"})
        with urllib.request.urlopen(ask) as said:
            self.answer(said.status, "text/xml", said.read())

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Sts).serve_forever()
