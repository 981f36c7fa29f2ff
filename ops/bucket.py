"""Make the bucket of MLflow's artifacts, unless it is there; compose.yaml and stack.sh run it before MLflow starts."""

import os

import boto3
from botocore.exceptions import ClientError

BUCKETS = os.environ.get("BUCKETS", "mlflow").split()

store = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
for bucket in BUCKETS:
    try:
        store.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            raise
        store.create_bucket(Bucket=bucket)
    print(f"the bucket {bucket} is there")
