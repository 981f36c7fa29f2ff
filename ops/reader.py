"""Make the account that `unblur serve` reads the registry with, or give it the password that is set now.

compose.yaml runs it after MLflow has started, as MLflow's administrator. The account may read and no more, which is
default_permission of mlflow-auth.ini.
"""

import os

from mlflow.exceptions import MlflowException
from mlflow.server.auth.client import AuthServiceClient

NAME = "unblur-serve"

accounts = AuthServiceClient(os.environ["MLFLOW_TRACKING_URI"])
password = os.environ["READER_PASSWORD"]
try:
    accounts.get_user(NAME)
except MlflowException as error:
    if error.error_code != "RESOURCE_DOES_NOT_EXIST":
        raise
    accounts.create_user(NAME, password)
else:
    accounts.update_user_password(NAME, password)
print(f"the account {NAME} is there")
