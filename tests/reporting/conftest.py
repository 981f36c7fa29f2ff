"""The scores and records of the evaluation's tests (tests/evaluation/conftest.py), for the report made of them."""

import importlib.util
from pathlib import Path

_path = Path(__file__).parents[1] / "evaluation" / "conftest.py"
_spec = importlib.util.spec_from_file_location("evaluation_conftest", _path)
assert _spec is not None
assert _spec.loader is not None
_evaluation = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_evaluation)

make_scores = _evaluation.make_scores
write_artifacts = _evaluation.write_artifacts
artifacts_paths = _evaluation.artifacts_paths
