"""A password for one login to Sluice, made of the keys this process has; no network is used.

In a Lambda function, or anywhere boto3 finds credentials (macOS, Windows, SSO profiles):

    conn = psycopg.connect(host=..., user="events_loader", sslmode="verify-full",
                           password=sluice_token("sluice-prod-us-east-1"))

Call it for each connect: a token is good for some minutes, and a frozen function wakes up with an old one.
From a shell: PGPASSWORD=$(python3 sluice_token.py SERVER_ID [REGION]) psql ...
"""
import base64
import sys

import boto3
from botocore.model import ServiceId
from botocore.signers import RequestSigner


def sluice_token(server_id, region=None, session=None):
    session = session or boto3.Session()
    region = region or session.region_name or "us-east-1"
    suffix = ".cn" if region.startswith("cn-") else ""
    signer = RequestSigner(ServiceId("sts"), region, "sts", "v4", session.get_credentials(), session.events)
    request = {
        "method": "GET",
        "url": f"https://sts.{region}.amazonaws.com{suffix}/?Action=GetCallerIdentity&Version=2011-06-15",
        "headers": {"x-sluice-server-id": server_id},  # signed, not sent: binds the token to this server
        "body": {},
        "context": {},
    }
    url = signer.generate_presigned_url(request, operation_name="GetCallerIdentity", expires_in=900)
    return "sluice-sts-v1." + base64.urlsafe_b64encode(url.encode()).rstrip(b"=").decode()


if __name__ == "__main__":
    print(sluice_token(*sys.argv[1:3]))
