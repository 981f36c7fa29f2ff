"""What a test leaves in the environment does not reach the next one; the two belong together, in this order."""

import os


def test_a_test_that_leaves_its_environment_behind(tmp_path):
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/left.db")
    mlflow.set_registry_uri(f"sqlite:///{tmp_path}/left.db")
    os.environ["UNBLUR_LEFT"] = "behind"
    del os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]
    assert "left.db" in os.environ["MLFLOW_TRACKING_URI"]


def test_the_next_one_finds_nothing_of_it():
    import mlflow

    assert not {"MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "UNBLUR_LEFT"} & os.environ.keys()
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "10"
    assert "left.db" not in mlflow.get_tracking_uri() + mlflow.get_registry_uri()
