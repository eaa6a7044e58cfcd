"""A Lambda function that loads into Redshift through Sluice with nothing but its role, as handler.mjs does.

{"sql": "insert into ...", "values": [...]}, or {"job": "events", "values": [...]} for a statement that the DynamoDB table
JOBS_TABLE names. SLUICE_HOST, SLUICE_SERVER_ID, SLUICE_USER, SLUICE_DATABASE; SLUICE_CA: a file, where Sluice's certificate
is not from a public CA. psycopg 3; placeholders are %s.
"""
import os
import time

import boto3
import certifi
import psycopg
from botocore.config import Config
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError
from sluice_token import sluice_token

PROBE_AFTER_S = float(os.environ.get("PROBE_AFTER_S", "5"))
KEPT_S = 60

# Outside of the handler: one connection for as long as the environment lives, which is frozen between calls.
connection, last_use, kept = None, 0.0, {}
dynamo = None


def connect():
    return psycopg.connect(
        host=os.environ["SLUICE_HOST"], port=os.environ.get("SLUICE_PORT", "5439"), user=os.environ["SLUICE_USER"],
        dbname=os.environ.get("SLUICE_DATABASE", "dev"), sslmode="verify-full",
        sslrootcert=os.environ.get("SLUICE_CA") or certifi.where(), connect_timeout=3, autocommit=True,
        password=sluice_token(os.environ["SLUICE_SERVER_ID"]))  # made as the connection is: good for minutes, and once


def answers(one):
    """After a freeze the other end may be gone without a word. An empty statement tells, and does nothing."""
    try:
        one.execute("")
        return True
    except psycopg.Error:
        return False


def statement_of(job):
    global dynamo
    if job in kept and time.monotonic() < kept[job][1]:
        return kept[job][0]
    dynamo = dynamo or boto3.client("dynamodb", config=Config(
        connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2}, account_id_endpoint_mode="disabled"))
    try:
        item = dynamo.get_item(TableName=os.environ["JOBS_TABLE"], Key={"job": {"S": job}}).get("Item")
    except (ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError) as e:
        raise RuntimeError(f"DynamoDB cannot be reached ({e}): the function's subnets need a gateway endpoint for DynamoDB on "
                           "their route table, or a NAT gateway; a public subnet does not help a function") from e
    if not item:
        raise KeyError(f"no job {job} in {os.environ['JOBS_TABLE']}")
    kept[job] = (item["statement"]["S"], time.monotonic() + KEPT_S)
    return kept[job][0]


def handler(event, context=None):
    global connection, last_use
    sql = statement_of(event["job"]) if "job" in event else event["sql"]
    if connection and (connection.closed or (time.time() - last_use > PROBE_AFTER_S and not answers(connection))):
        connection.close()
        connection = None
    connection = connection or connect()
    try:
        cursor = connection.execute(sql, event.get("values"))
        return [list(row) for row in cursor] if cursor.description else []
    finally:
        last_use = time.time()
