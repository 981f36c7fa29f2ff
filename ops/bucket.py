"""Make the bucket of MLflow's artifacts, unless it is there; compose.yaml runs it before MLflow starts."""

import os

import boto3
from botocore.exceptions import ClientError

BUCKET = "mlflow"

store = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
try:
    store.head_bucket(Bucket=BUCKET)
except ClientError as error:
    if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
        raise
    store.create_bucket(Bucket=BUCKET)
print(f"the bucket {BUCKET} is there")
