#!/usr/bin/env python3
"""s3.py ENDPOINT get s3://BUCKET/KEY (manifest|prefix) (gzip|plain) SKIP     to stdout
   s3.py ENDPOINT put s3://BUCKET/PREFIX (manifest|files) (gzip|plain) (overwrite|new)   from stdin

What PostgreSQL runs for the fake of Redshift's COPY and UNLOAD, against a moto server: requests without a signature,
which no real S3 takes. Ends with status 4 where an object does not exist, 5 where one is in the way."""
import gzip
import json
import sys
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as xml

ENDPOINT, verb, url, listed, packed, last = sys.argv[1:7]
NOBODY = {"Authorization": "AWS4-HMAC-SHA256 Credential=fake/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0",
          "Content-Type": "application/octet-stream"}
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(bucket, key, query="", body=None):
    at = f"{ENDPOINT}/{bucket}/{urllib.parse.quote(key)}{query}"
    try:
        with opener.open(urllib.request.Request(at, body, NOBODY, method="PUT" if body is not None else "GET")) as answer:
            return answer.read()
    except urllib.error.HTTPError as e:
        print(f"S3ServiceException: {e.code}", file=sys.stderr)
        sys.exit(4 if e.code == 404 else 1)


def split(name):
    bucket, _, key = name.removeprefix("s3://").partition("/")
    return bucket, key


def keys(bucket, prefix):
    tree = xml.fromstring(ask(bucket, "", f"?list-type=2&prefix={urllib.parse.quote(prefix)}"))
    return [key.text for key in tree.iter() if key.tag.endswith("}Key")]


def objects():
    bucket, key = split(url)
    if listed == "manifest":
        return [split(entry["url"]) for entry in json.loads(ask(bucket, key))["entries"]]
    found = [(bucket, name) for name in keys(bucket, key)]
    return found or sys.exit(4)


def get():
    for bucket, key in objects():
        body = ask(bucket, key)
        lines = (gzip.decompress(body) if packed == "gzip" else body).splitlines(keepends=True)[int(last):]
        if lines and not lines[-1].endswith(b"\n"):
            lines.append(b"\n")
        sys.stdout.buffer.writelines(lines)


def put():
    bucket, prefix = split(url)
    if last == "new" and keys(bucket, prefix):
        sys.exit(5)
    body, end = sys.stdin.buffer.read(), ".gz" if packed == "gzip" else ""
    ask(bucket, f"{prefix}0000_part_00{end}", body=gzip.compress(body) if packed == "gzip" else body)
    if listed == "manifest":
        entries = [{"url": f"s3://{bucket}/{prefix}0000_part_00{end}", "mandatory": True}]
        ask(bucket, f"{prefix}manifest", body=json.dumps({"entries": entries}).encode())


(get if verb == "get" else put)()
sys.stdout.flush()
