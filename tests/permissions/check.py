"""Runs the product with only the policies of docs/src/security.md, on an S3 server that evaluates them (MinIO).

Usage: check.py ENDPOINT EXECUTABLE. Takes the operator's credentials from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.request
import uuid

import boto3
from botocore.exceptions import ClientError

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs/src/security.md"
PORT = 9181
# All routes that read the store.
PATHS = [
    "data?limit=1",
    "stats",
    "data/1000",
    "data/1000/image",
    "data/1000/history",
    "data/1002/explain",
    "rejects",
    "versions",
    "changes?since=0",
    "runs",
    "data.csv?version=0",
    "data.parquet",
]


def policies(bucket):
    found = re.findall(r"<!-- policy: (\w+) -->\n```json\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return {name: json.dumps(json.loads(text.replace("my-lake", bucket))) for name, text in found}


def environment(sts, policy):
    role = sts.assume_role(RoleArn="arn:aws:iam::000000000000:role/check", RoleSessionName="check", Policy=policy)
    issued = role["Credentials"]
    return {
        **os.environ,
        "AWS_ACCESS_KEY_ID": issued["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": issued["SecretAccessKey"],
        "AWS_SESSION_TOKEN": issued["SessionToken"],
    }


def denied(client, operation, **arguments):
    try:
        getattr(client, operation)(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"] == "AccessDenied"
    return False


def main(endpoint, executable):
    bucket = f"permissions-{uuid.uuid4().hex[:8]}"
    lake = ["--lake", f"s3://{bucket}", "--s3-endpoint", endpoint]

    def run(arguments, env=None, status=0):
        done = subprocess.run([executable, *arguments, *lake], env=env, capture_output=True, text=True)
        assert done.returncode == status, f"{arguments}: status {done.returncode}\n{done.stderr}"
        return done.stdout + done.stderr

    def client(service, env=os.environ):
        return boto3.client(
            service,
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=env.get("AWS_SESSION_TOKEN"),
        )

    run(["init", "--samples"])
    operator = client("s3")
    by_role = {name: environment(client("sts"), policy) for name, policy in policies(bucket).items()}
    processor, api = by_role["processor"], by_role["api"]

    # A first run; a run with changes, removals, a reject and a replaced image; and a run without changes.
    run(["process"], processor)
    image = operator.get_object(Bucket=bucket, Key="src-data/1000.png")["Body"].read()
    operator.put_object(Bucket=bucket, Key="src-data/1001.png", Body=image)
    operator.put_object(Bucket=bucket, Key="src-data/1002.csv", Body=b"first_name;last_name;birthts\n")
    operator.put_object(Bucket=bucket, Key="src-data/1003.csv", Body=b"first_name,last_name,birthts\nAda,Lee,1\n")
    for key in ["1004.csv", "1006.png"]:
        operator.delete_object(Bucket=bucket, Key=f"src-data/{key}")
    run(["process"], processor)
    run(["process", "--full"], processor)
    run(["process"], processor)

    # Requests that both policies deny.
    for name, env in by_role.items():
        own = client("s3", env)
        assert denied(own, "put_object", Bucket=bucket, Key="src-data/1.csv", Body=b""), f"{name} writes sources"
        assert denied(own, "delete_object", Bucket=bucket, Key="src-data/1000.csv"), f"{name} removes sources"
        assert denied(own, "list_objects_v2", Bucket=bucket), f"{name} lists everything"
    assert denied(client("s3", api), "put_object", Bucket=bucket, Key="processed_data/output.csv", Body=b""), "the API writes"
    assert denied(client("s3", api), "get_object", Bucket=bucket, Key="src-data/1000.csv"), "the API reads sources"

    # A run with the API's permissions fails with a message that names the missing permission.
    message = run(["process"], api, status=2)
    assert "cannot list src-data/" in message and "s3:ListBucket" in message, message

    server = subprocess.Popen(
        [executable, "serve", *lake, "--launcher", "none", "--listen", f"127.0.0.1:{PORT}"],
        env=api,
        stderr=subprocess.DEVNULL,
    )
    try:
        read(server, "readyz", attempts=100)
        for path in PATHS:
            read(server, path)
    finally:
        server.terminate()
        server.wait()
    for found in operator.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in found.get("Contents", []):
            operator.delete_object(Bucket=bucket, Key=item["Key"])
    operator.delete_bucket(Bucket=bucket)
    print("the documented permissions are sufficient")


def read(server, path, attempts=1):
    for attempt in range(attempts):
        assert server.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/{path}") as response:
                return response.read()
        except OSError as error:
            if attempt + 1 == attempts:
                raise AssertionError(f"/{path}: {error}") from error
            time.sleep(0.2)


main(*sys.argv[1:])
