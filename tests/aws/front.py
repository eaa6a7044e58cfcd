#!/usr/bin/env python3
"""front.py PORT MOTO_PORT WAREHOUSE_DIR WAREHOUSE_PORT PSQL: AWS as our tests need it, in front of moto.

moto answers; this passes everything on to it unchanged (signatures stay good, moto checks them), and adds
what moto lacks:

  * a login that GetClusterCredentials gave really works at the warehouse, until it expires: the database
    user's password is set there, `valid until` the same moment;
  * DescribeClusters answers with the warehouse's address;
  * GetClusterCredentialsWithIAM, and redshift-serverless GetCredentials and GetWorkgroup (checked with
    botocore's signer, as moto does it);
  * an SSO portal and a container's credentials, by botocore's models; no signatures there;
  * faults: POST /-/ {"action": A, "mode": M, "count": N, "seconds": S};
  * GET /-/calls: how often each action came, and from whom; GET /-/secrets: every one given out.

A double of our own: it shows what we believe of AWS, not what AWS does.
"""
import datetime
import http.server
import json
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

PORT, MOTO, DIR, WAREHOUSE, PSQL = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]
LOCK = threading.Lock()
CALLS, FAULTS, SECRETS, GIVEN = {}, {}, {}, set()
LIFE = {"seconds": 0}  # of logins; 0: as moto says


def iso(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def set_password(user, password, until):
    """As Redshift: the user exists for as long as it is asked for, the password until it expires."""
    name = user.replace('"', '""')
    sql = (f"select 'create role \"{name}\" login' where not exists (select from pg_roles where rolname = '{user}') \\gexec\n"
           f"alter role \"{name}\" password '{password}' valid until '{until}';\n")
    with LOCK:
        subprocess.run([PSQL, "-qX", "-v", "ON_ERROR_STOP=1", "-h", DIR, "-p", str(WAREHOUSE), "-U", "postgres", "-d", "postgres"], input=sql, text=True, check=True)


def xml_error(code, message):
    return (f'<ErrorResponse xmlns="http://redshift.amazonaws.com/doc/2012-12-01/"><Error><Type>Sender</Type><Code>{code}</Code>'
            f"<Message>{message}</Message></Error><RequestId>front-1</RequestId></ErrorResponse>")


BOMB = ('<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + "".join(f'<!ENTITY {chr(98 + i)} "{("&" + chr(97 + i) + ";") * 10}">' for i in range(9))
        + "]><GetClusterCredentialsResponse><GetClusterCredentialsResult><DbUser>&j;</DbUser></GetClusterCredentialsResult></GetClusterCredentialsResponse>")


class Front(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="text/xml", date_offset=0, **headers):
        data = body if isinstance(body, bytes) else body.encode()
        self.send_response_only(status)
        self.send_header("Date", time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + date_offset)))
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def action_of(self, body):
        if "X-Amz-Target" in self.headers:
            return self.headers["X-Amz-Target"].rsplit(".", 1)[1]
        return dict(urllib.parse.parse_qsl(body)).get("Action") or self.path.split("?")[0]

    def count(self, action, body):
        key = re.search(r"Credential=([^/]+)/\d+/([^/]+)", self.headers.get("Authorization", ""))
        with LOCK:
            CALLS.setdefault(action, []).append({"key": key[1] if key else "", "region": key[2] if key else "", **{
                k: v for k, v in urllib.parse.parse_qsl(body) if k in ("RoleArn", "ExternalId", "DbUser", "DbName", "AutoCreate", "DurationSeconds", "RoleSessionName") or k.startswith("DbGroups")}})

    def fault(self, action):
        with LOCK:
            fault = FAULTS.get(action) or FAULTS.get("*")
            if not fault or fault["count"] == 0:
                return None
            fault["count"] -= 1
            return fault

    def error(self, status, code, message):
        if "X-Amz-Target" in self.headers:
            self.answer(status, json.dumps({"__type": f"com.amazonaws#{code}Exception", "message": message}), "application/x-amz-json-1.1")
        else:
            self.answer(status, xml_error(code, message))

    def misbehave(self, fault):
        mode = fault["mode"]
        if mode == "throttle":
            self.error(400, "Throttling", "Rate exceeded")
        elif mode == "fail":
            self.answer(503, "<html>not now</html>", "text/html")
        elif mode == "hang":
            time.sleep(fault.get("seconds", 30))
        elif mode == "bomb":
            self.answer(200, BOMB)
        elif mode == "huge":
            self.answer(200, b"<a>" + b" " * (10 << 20))
        elif mode == "redirect":
            self.answer(302, "", Location=f"http://127.0.0.1:{PORT}/elsewhere")
        elif mode == "html":
            self.answer(200, "<html><body>Log in to the Wi-Fi</body></html>", "text/html")
        elif mode == "denied":
            self.error(403, "AccessDenied", "not authorized to perform this")
        elif mode == "expired":
            self.answer(403, xml_error("ExpiredToken", "The security token included in the request is expired"))
        else:
            return False
        return True

    def is_late(self, fault):
        """The clock here is an hour ahead: who signs with his own is told so, as AWS does."""
        signed = datetime.datetime.strptime(self.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
        late = abs(signed - time.time() - 3600) > 300
        if late:
            self.answer(403, xml_error("RequestTimeTooSkewed", "Signature expired"), date_offset=3600)
        return late

    def is_signed(self, body):
        fields = dict(f.strip().split("=", 1) for f in self.headers["Authorization"].split(" ", 1)[1].split(","))
        key, _, region, service, _ = fields["Credential"].split("/")
        request = AWSRequest(self.command, f"http://{self.headers['Host']}{self.path}", data=body.encode(),
                             headers={n: self.headers[n] for n in fields["SignedHeaders"].split(";")})
        request.context["timestamp"] = self.headers["X-Amz-Date"]
        auth = SigV4Auth(Credentials(key, SECRETS.get(key, "")), service, region)
        return auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request) == fields["Signature"]

    def pass_on(self, body):
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("connection", "accept-encoding")}
        ask = urllib.request.Request(f"http://127.0.0.1:{MOTO}{self.path}", body.encode() or None, headers, method=self.command)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(ask) as said:
                return said.status, said.read().decode(), said.headers["Content-Type"]
        except urllib.error.HTTPError as said:
            return said.code, said.read().decode(), said.headers["Content-Type"]

    def control(self, body):
        if self.command == "POST":
            ask = json.loads(body)
            with LOCK:
                if "life" in ask:
                    LIFE["seconds"] = ask["life"]
                elif "secrets" in ask:
                    SECRETS.update(ask["secrets"])
                else:
                    FAULTS[ask["action"]] = {"count": 1 << 30, **ask}
        with LOCK:
            if self.path == "/-/secrets":
                self.answer(200, "\n".join(GIVEN) + "\n", "text/plain")
            else:
                self.answer(200, json.dumps(CALLS), "application/json")

    def own(self, action, body):
        """What moto has not got; None: it has."""
        hour = LIFE["seconds"] or 900
        if action in ("GetClusterCredentialsWithIAM", "GetCredentials", "GetWorkgroup") and not self.is_signed(body):
            return 403, xml_error("SignatureDoesNotMatch", "the signature is wrong"), "text/xml"
        if action == "GetClusterCredentialsWithIAM":
            set_password("IAMR:proxy", "with-iam-password", iso(hour))
            return 200, (f"<{action}Response><{action}Result><DbUser>IAMR:proxy</DbUser><DbPassword>with-iam-password</DbPassword>"
                         f"<Expiration>{iso(hour)}</Expiration></{action}Result></{action}Response>"), "text/xml"
        if action == "GetCredentials":
            set_password("IAMR:proxy", "serverless-password", iso(hour))
            return 200, json.dumps({"dbUser": "IAMR:proxy", "dbPassword": "serverless-password", "expiration": time.time() + hour, "nextRefreshTime": time.time() + hour}), "application/x-amz-json-1.1"
        if action == "GetWorkgroup":
            return 200, json.dumps({"workgroup": {"workgroupName": "wg", "status": "AVAILABLE", "endpoint": {"address": "localhost", "port": WAREHOUSE}}}), "application/x-amz-json-1.1"
        if action == "/federation/credentials":
            return 200, json.dumps({"roleCredentials": {"accessKeyId": "SSOKEY", "secretAccessKey": "S", "sessionToken": "T", "expiration": int(time.time() + 3600) * 1000}}), "application/json"
        if action == "/container":
            return 200, json.dumps({"AccessKeyId": "BOXKEY", "SecretAccessKey": "S", "Token": "T", "Expiration": iso(3600)}), "application/json"
        return None

    def improve(self, action, text):
        GIVEN.update(re.findall("<(?:DbPassword|SecretAccessKey|SessionToken)>(.*?)</", text))
        if action == "GetClusterCredentials" and "<DbPassword>" in text:
            if LIFE["seconds"]:
                text = re.sub(r"<Expiration>.*?</Expiration>", f"<Expiration>{iso(LIFE['seconds'])}</Expiration>", text)
            value = lambda tag: re.search(f"<{tag}>(.*?)</{tag}>", text)[1]
            set_password(value("DbUser"), value("DbPassword"), value("Expiration"))
        if action == "DescribeClusters":
            text = re.sub(r"<Address>.*?</Address>", "<Address>localhost</Address>", text)
            text = re.sub(r"<Port>.*?</Port>", f"<Port>{WAREHOUSE}</Port>", text)
        if action == "AssumeRole" and "<SecretAccessKey>" in text:
            value = lambda tag: re.search(f"<{tag}>(.*?)</{tag}>", text)[1]
            SECRETS[value("AccessKeyId")] = value("SecretAccessKey")
        return text

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if self.path.startswith("/-/"):
            self.control(body)
            return
        action = self.action_of(body)
        self.count(action, body)
        fault = self.fault(action)
        if fault and fault["mode"] == "skew":
            if self.is_late(fault):
                return
        elif fault and self.misbehave(fault):
            return
        status, text, kind = self.own(action, body) or self.pass_on(body)
        self.answer(status, self.improve(action, text), kind or "text/xml")

    do_GET = do_POST = do_PUT = handle_any


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


Server(("127.0.0.1", PORT), Front).serve_forever()
