#!/usr/bin/env python3
"""second_opinion.py: what do AWS's own SDKs say to the same questions?

  make build/sluice build/tools/aws && tests/aws/second_opinion.py
  SHORT=1 tests/aws/second_opinion.py      without npm, fewer signatures, TAP: as `make test` runs it

Installs botocore (PyPI) under build/venv and the JavaScript signer (npm) under build/node. Three comparisons: signatures of random requests, in headers and in the query; login
tokens minted by `sluice token` and by the two helpers in deploy/lambda, judged by botocore's signer;
and the credential chain: same HOME and environment, same keys, and the same requests on the wire, to a
server of this script's own that checks every signature with botocore's code.
"""
import base64
import hashlib
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHORT = bool(os.environ.get("SHORT"))
BUILD = ROOT / os.environ.get("SLUICE_BUILD", "build")
VENV, NODE, TOOL = ROOT / ("build/moto" if SHORT else "build/venv"), ROOT / "build/node", BUILD / "tools/aws"
PORT = 0  # of the server that plays AWS, once it runs
KEYS = {"id": "ASIAIOSFODNN7EXAMPLE", "secret": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "token": "to+k/en=="}
SERVER_ID = "sluice/123456789012/eu-west-1/prod"


def prepare():
    if not (VENV / "bin/python").exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([VENV / "bin/pip", "-q", "install", "boto3"], check=True)
    if not SHORT and not (NODE / "node_modules/@smithy/signature-v4").exists():
        NODE.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "init", "-y"], cwd=NODE, check=True, stdout=subprocess.DEVNULL)
        packages = ["@smithy/signature-v4", "@smithy/protocol-http", "@aws-crypto/sha256-js", "@aws-sdk/credential-providers"]
        subprocess.run(["npm", "i", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", *packages], cwd=NODE, check=True)
    if not sys.executable.startswith(str(VENV)):
        os.execv(VENV / "bin/python", [str(VENV / "bin/python"), *sys.argv])


prepare()
from botocore.auth import SigV4Auth, SigV4QueryAuth  # noqa: E402
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.credentials import Credentials  # noqa: E402

failures = []


def check(what, ok, detail=""):
    if not ok:
        failures.append(what)
        print(f"not ok - {what}: {detail}")
    return ok


# ---- signatures ----------------------------------------------------------------------------------


def signature_of(cls, request, credentials, service, region, date, **more):
    """What botocore signs, at a date of ours."""
    auth = cls(credentials, service, region, **more)
    request.context["timestamp"] = date
    return auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)


def random_request(rng):
    word = lambda n: "".join(rng.choice("abcXYZ019-_.~ /:%+=&é*'()!") for _ in range(rng.randint(0, n)))
    path = "/" + urllib.parse.quote(word(12), safe="/~()*'!" if rng.random() < 0.5 else "/")
    query = "&".join(f"{urllib.parse.quote(word(4) or 'k', safe='')}={urllib.parse.quote(word(6), safe='')}" for _ in range(rng.randint(0, 4)))
    headers = {"Host": "sts.us-east-1.amazonaws.com", "X-Amz-Target": "  a   b ", "Content-Type": "text/plain"}
    return rng.choice(["GET", "POST"]), path, query, headers, word(40)


def compare_signatures(count=40 if SHORT else 300):
    rng, date, good = random.Random(7), "20261121T020241Z", 0
    for _ in range(count):
        method, path, query, headers, body = random_request(rng)
        presign = rng.random() < 0.4
        credentials = Credentials(KEYS["id"], KEYS["secret"])
        ask = {"method": method, "path": path, "query": query, "headers": headers, "body": "" if presign else body,
               "key_id": KEYS["id"], "secret": KEYS["secret"], "token": "", "region": "us-east-1", "service": "sts", "date": date}
        ours = subprocess.run([TOOL, "presign" if presign else "sign"], input=json.dumps(ask), capture_output=True, text=True).stdout.strip()
        url = f"https://{headers['Host']}{path}" + (f"?{query}" if query else "")
        if presign:
            added = urllib.parse.urlencode({k: v for k, v in urllib.parse.parse_qsl(ours, keep_blank_values=True) if k.startswith("X-Amz-") and k != "X-Amz-Signature"}, quote_via=urllib.parse.quote, safe="")
            request = AWSRequest(method, url + ("&" if query else "?") + added, headers=headers)
            theirs = signature_of(SigV4Auth, request, credentials, "sts", "us-east-1", date)
            ok = f"X-Amz-Signature={theirs}" in ours
        else:
            request = AWSRequest(method, url, headers={**headers, "X-Amz-Date": date}, data=body.encode())
            ok = ours.endswith("Signature=" + signature_of(SigV4Auth, request, credentials, "sts", "us-east-1", date))
        good += check(f"{method} {path}?{query}", ok, ours)
    print(f"{'ok - ' if SHORT and good == count else ''}signatures: {good} of {count} as botocore signs")


# ---- tokens --------------------------------------------------------------------------------------


def judge_token(who, token):
    """Opened and rebuilt by our verifier; the signature computed again by botocore."""
    opened = subprocess.run([TOOL, "open", SERVER_ID, "eu-west-1"], input=token, capture_output=True, text=True)
    if not check(f"{who}: opens", opened.returncode == 0, opened.stdout):
        return
    line, *headers = opened.stdout.strip().split("\n")
    url = line.removeprefix("GET ")
    minted = base64.urlsafe_b64decode(token.split(".", 1)[1] + "==").decode()
    pairs = lambda u: sorted(urllib.parse.parse_qsl(urllib.parse.urlsplit(u).query))
    check(f"{who}: rebuilt alike", pairs(url) == pairs(minted), url)
    sent = dict(h.split(": ", 1) for h in headers)
    query = dict(pairs(url))
    theirs = query.pop("X-Amz-Signature")
    bare = url.split("?")[0] + "?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote, safe="")
    bound = {"host": sent["Host"], "x-sluice-server-id": sent["x-sluice-server-id"]}
    request = AWSRequest("GET", bare, headers=bound)
    signed = signature_of(SigV4Auth, request, Credentials(KEYS["id"], KEYS["secret"], KEYS["token"]), "sts", "eu-west-1", query["X-Amz-Date"])
    if check(f"{who}: signature", signed == theirs, signed):
        print(f"token: {who}: opens, and botocore finds the same signature")
    other = subprocess.run([TOOL, "open", "another-server", "us-east-1"], input=token, capture_output=True, text=True)
    check(f"{who}: refused elsewhere", other.returncode == 1, other.stdout)


def compare_tokens():
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_ACCESS_KEY_ID": KEYS["id"], "AWS_SECRET_ACCESS_KEY": KEYS["secret"],
           "AWS_SESSION_TOKEN": KEYS["token"], "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
    makers = {"sluice token": [BUILD / "sluice", "token", "--server-id", SERVER_ID]}
    if not SHORT:
        (NODE / "sluice_token.mjs").write_text((ROOT / "deploy/lambda/sluice_token.mjs").read_text())
    for who, command in makers.items() if SHORT else {
        **makers,
        "sluice_token.py": [sys.executable, ROOT / "deploy/lambda/sluice_token.py", SERVER_ID, "eu-west-1"],
        "sluice_token.mjs": ["node", NODE / "sluice_token.mjs", SERVER_ID, "eu-west-1"],
    }.items():
        made = subprocess.run(command, env=env, capture_output=True, text=True)
        if check(f"{who}: mints", made.returncode == 0, made.stderr):
            judge_token(who, made.stdout.strip())


# ---- the chain -----------------------------------------------------------------------------------

SECRETS = {"PK": "PS", "CK": "CS", "EK": "ES", "SK": "SS", "IK": "IS"}  # every key id whose secret the server knows; grows with each role


class World(BaseHTTPRequestHandler):
    seen = []

    def log_message(self, *_):
        pass

    def reply(self, body, kind="application/json", status=200):
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def note(self, body):
        """What must be equal on both sides: not session names, signatures, dates, ids of attempts."""
        url = urllib.parse.urlsplit(self.path)
        form = dict(urllib.parse.parse_qsl(body)) if "form" in self.headers.get("Content-Type", "") else {}
        form.pop("RoleSessionName", None)
        what = sorted(form.items()) if form else (json.loads(body) if body else "")
        tell = {h: self.headers[h] for h in ("x-amz-sso_bearer_token", "x-aws-ec2-metadata-token", "x-amz-security-token") if h in self.headers}
        if not self.headers.get("Authorization", "").startswith("AWS4"):
            tell["authorization"] = self.headers.get("Authorization")
        else:
            tell["signed"] = self.is_signed(body)
        World.seen.append((self.command, url.path, sorted(urllib.parse.parse_qsl(url.query)), what, tell))

    def is_signed(self, body):
        fields = dict(f.strip().split("=", 1) for f in self.headers["Authorization"].split(" ", 1)[1].split(","))
        key_id, _, region, service, _ = fields["Credential"].split("/")
        names = fields["SignedHeaders"].split(";")
        headers = {n: self.headers[n] for n in names}
        request = AWSRequest(self.command, f"http://{self.headers['Host']}{self.path}", headers=headers, data=body.encode())
        ours = signature_of(SigV4Auth, request, Credentials(key_id, SECRETS[key_id]), service, region, self.headers["X-Amz-Date"])
        return f"{key_id} {service}" if ours == fields["Signature"] else "WRONG SIGNATURE"

    def sts(self, form):
        name = form["RoleArn"].rsplit("/", 1)[1]
        SECRETS[f"{name}K"] = f"{name}S"
        until = (datetime.now(timezone.utc) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        action = form["Action"]
        self.reply(f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><Credentials>'
                   f"<AccessKeyId>{name}K</AccessKeyId><SecretAccessKey>{name}S</SecretAccessKey><SessionToken>{name}T</SessionToken>"
                   f"<Expiration>{until}</Expiration></Credentials><AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/{name}/x</Arn>"
                   f"<AssumedRoleId>AROA:x</AssumedRoleId></AssumedRoleUser></{action}Result></{action}Response>", "text/xml")

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.note(body)
        path = urllib.parse.urlsplit(self.path).path
        later = datetime.now(timezone.utc) + timedelta(hours=1)
        keys = {"AccessKeyId": "IK", "SecretAccessKey": "IS", "Token": "IT", "Expiration": later.strftime("%Y-%m-%dT%H:%M:%SZ"), "Code": "Success"}
        if path == "/" and body:
            self.sts(dict(urllib.parse.parse_qsl(body)))
        elif path == "/federation/credentials":
            self.reply(json.dumps({"roleCredentials": {"accessKeyId": "SK", "secretAccessKey": "SS", "sessionToken": "ST", "expiration": int(later.timestamp() * 1000)}}))
        elif path == "/token":
            self.reply(json.dumps({"accessToken": "NEW", "expiresIn": 28800, "tokenType": "Bearer", "refreshToken": "R2"}))
        elif path == "/latest/api/token":
            self.reply("TOKEN", "text/plain")
        elif path == "/latest/meta-data/iam/security-credentials/":
            self.reply("my-role", "text/plain")
        elif path.startswith("/latest/meta-data/placement"):
            self.reply("eu-west-1", "text/plain")
        elif path in ("/latest/meta-data/iam/security-credentials/my-role", "/container"):
            self.reply(json.dumps(keys))
        else:
            self.reply("{}", status=404)

    do_GET = do_POST = do_PUT = handle_any


def at(minutes):
    return (datetime.now(timezone.utc) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


ROLE = "role_arn=arn:aws:iam::123456789012:role/{}\n"
STATIC = "aws_access_key_id=CK\naws_secret_access_key=CS\n"
SSO = "[profile d]\nsso_session=corp\nsso_account_id=123456789012\nsso_role_name=R D\n[sso-session corp]\nsso_region=eu-west-1\nsso_start_url=https://corp/start\n"
CACHE = ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json"
SSO_FILE = {"startUrl": "https://corp/start", "region": "eu-west-1", "accessToken": "OLD", "clientId": "CI", "clientSecret": "CS",
            "registrationExpiresAt": at(100000), "refreshToken": "RT"}
OLD_SSO = "[profile e]\nsso_account_id=123456789012\nsso_role_name=R\nsso_region=eu-west-1\nsso_start_url=https://corp/start\n"
OLD_CACHE = ".aws/sso/cache/" + hashlib.sha1(b"https://corp/start").hexdigest() + ".json"
PROCESS = 'credential_process = sh -c "echo \'{\\"Version\\":1,\\"AccessKeyId\\":\\"PK\\",\\"SecretAccessKey\\":\\"PS\\"}\'"\n'

# name: (environment, files under HOME)
WORLDS = {
    "environment": ({"AWS_ACCESS_KEY_ID": "EK", "AWS_SECRET_ACCESS_KEY": "ES", "AWS_SESSION_TOKEN": "ET"}, {".aws/credentials": "[default]\n" + STATIC}),
    "environment beats AWS_PROFILE": ({"AWS_ACCESS_KEY_ID": "EK", "AWS_SECRET_ACCESS_KEY": "ES", "AWS_PROFILE": "a"}, {".aws/credentials": "[a]\n" + STATIC}),
    "partial environment": ({"AWS_ACCESS_KEY_ID": "EK"}, {}),
    "credentials file": ({}, {".aws/credentials": "[default]\n" + STATIC}),
    "config file": ({}, {".aws/config": "[default]\n" + STATIC}),
    "credentials file beats config file": ({}, {".aws/credentials": "[default]\n" + STATIC, ".aws/config": "[default]\naws_access_key_id=X\naws_secret_access_key=X\n"}),
    "named profile": ({"AWS_PROFILE": "a"}, {".aws/config": "[profile a]\n" + STATIC}),
    "missing profile": ({"AWS_PROFILE": "b"}, {".aws/config": "[profile a]\n" + STATIC}),
    "partial profile": ({}, {".aws/credentials": "[default]\naws_access_key_id=CK\n"}),
    "role over keys": ({"AWS_PROFILE": "a"}, {".aws/config": "[profile a]\n" + ROLE.format("A") + "source_profile=b\nexternal_id=x y\nduration_seconds=1800\n[profile b]\n" + STATIC}),
    "role over role over keys": ({"AWS_PROFILE": "a"}, {".aws/config": "[profile a]\n" + ROLE.format("A") + "source_profile=b\n[profile b]\n" + ROLE.format("B") + "source_profile=c\n[profile c]\n" + STATIC}),
    "role over its own keys": ({}, {".aws/config": "[default]\n" + ROLE.format("A") + "source_profile=default\n" + STATIC}),
    "role from environment": ({"AWS_PROFILE": "a"}, {".aws/config": "[profile a]\n" + ROLE.format("A") + "credential_source=Ec2InstanceMetadata\n"}),
    "role in a circle": ({"AWS_PROFILE": "a"}, {".aws/config": "[profile a]\n" + ROLE.format("A") + "source_profile=b\n[profile b]\n" + ROLE.format("B") + "source_profile=a\n"}),
    "role without source": ({"AWS_PROFILE": "a"}, {".aws/config": "[profile a]\n" + ROLE.format("A")}),
    "role over SSO": ({"AWS_PROFILE": "a"}, {".aws/config": "[profile a]\n" + ROLE.format("A") + "source_profile=d\n" + SSO, CACHE: json.dumps({**SSO_FILE, "expiresAt": at(100)})}),
    "web identity": ({"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/W", "AWS_WEB_IDENTITY_TOKEN_FILE": "{home}/jwt"}, {"jwt": "e.y.J"}),
    "web identity without file": ({"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/W", "AWS_WEB_IDENTITY_TOKEN_FILE": "{home}/none"}, {}),
    "web identity in a profile": ({}, {".aws/config": "[default]\n" + ROLE.format("W") + "web_identity_token_file={home}/jwt\n", "jwt": "e.y.J"}),
    "SSO": ({"AWS_PROFILE": "d"}, {".aws/config": SSO, CACHE: json.dumps({**SSO_FILE, "expiresAt": at(100)})}),
    "SSO refreshed": ({"AWS_PROFILE": "d"}, {".aws/config": SSO, CACHE: json.dumps({**SSO_FILE, "expiresAt": at(5)})}),
    "SSO, the older form": ({"AWS_PROFILE": "e"}, {".aws/config": OLD_SSO, OLD_CACHE: json.dumps({k: SSO_FILE[k] for k in ("startUrl", "region", "accessToken")} | {"expiresAt": at(100)})}),
    "SSO, the older form, expired": ({"AWS_PROFILE": "e"}, {".aws/config": OLD_SSO, OLD_CACHE: json.dumps({**SSO_FILE, "expiresAt": at(-5)})}),
    "role from a container": ({"AWS_PROFILE": "a", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:{port}/container"},
                              {".aws/config": "[profile a]\n" + ROLE.format("A") + "credential_source=EcsContainer\n"}),
    "role from variables": ({"AWS_PROFILE": "a", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
                            {".aws/config": "[profile a]\n" + ROLE.format("A") + "credential_source=Environment\n"}),
    "container token in a file": ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:{port}/container", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "{home}/t"}, {"t": "from a file"}),
    "role over a process": ({"AWS_PROFILE": "a"}, {".aws/config": "[profile a]\n" + ROLE.format("A") + "source_profile=p\n[profile p]\n" + PROCESS}),
    "SSO expired, no refresh token": ({"AWS_PROFILE": "d"}, {".aws/config": SSO, CACHE: json.dumps({k: v for k, v in SSO_FILE.items() if k != "refreshToken"} | {"expiresAt": at(-5)})}),
    "SSO, never logged in": ({"AWS_PROFILE": "d"}, {".aws/config": SSO}),
    "process": ({}, {".aws/config": "[default]\n" + PROCESS}),
    "process that fails": ({}, {".aws/config": "[default]\ncredential_process = false\n"}),
    "container": ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:{port}/container", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "secret"}, {}),
    "container that fails": ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:{port}/none"}, {}),
    "container elsewhere": ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/c"}, {}),
    "EC2": ({}, {}),
    "EC2 switched off": ({"AWS_EC2_METADATA_DISABLED": "true"}, {}),
}

ASK_BOTOCORE = """
import json, botocore.session
try:
    c = botocore.session.Session().get_credentials()
    c = c and c.get_frozen_credentials()
    print(json.dumps({"key_id": c.access_key, "secret": c.secret_key, "token": c.token or ""} if c else {"error": "none"}))
except Exception as e:
    print(json.dumps({"error": type(e).__name__ + ": " + str(e)}))
"""


def run_world(command, env, files):
    with tempfile.TemporaryDirectory() as home:
        for name, text in files.items():
            path = pathlib.Path(home) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("{home}", home))
        full = {"PATH": os.environ["PATH"], "HOME": home, "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1",
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{PORT}", "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{PORT}"}
        full |= {k: v.replace("{home}", home).replace("{port}", str(PORT)) for k, v in env.items()}
        World.seen = []
        done = subprocess.run(command, env=full, capture_output=True, text=True)
        return json.loads(done.stdout.strip().split("\n")[-1]), [json.loads(json.dumps(s)) for s in World.seen]


def compare_chains():
    global PORT
    server = ThreadingHTTPServer(("127.0.0.1", 0), World)
    PORT = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    same = 0
    for name, (env, files) in WORLDS.items():
        theirs, their_requests = run_world([sys.executable, "-c", ASK_BOTOCORE], env, files)
        ours, our_requests = run_world([TOOL, "chain"], env, files)
        keys = lambda answer: tuple(answer.get(k) for k in ("key_id", "secret", "token"))
        ok = check(f"chain: {name}: keys", keys(ours) == keys(theirs), f"\n  ours   {ours}\n  theirs {theirs}")
        if "error" not in theirs:  # how often one tries before giving up is a matter of taste
            ok &= check(f"chain: {name}: requests", our_requests == their_requests, f"\n  ours   {our_requests}\n  theirs {their_requests}")
        same += ok
        if ok and SHORT:
            print(f"ok - as botocore: {name}")
    print(f"chains: {same} of {len(WORLDS)} as botocore finds them")
    server.shutdown()


compare_signatures()
compare_tokens()
compare_chains()
print("all agree" if not failures else f"{len(failures)} differ")
sys.exit(bool(failures))
