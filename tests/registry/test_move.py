"""A move looks at the file that would be champion first."""

from typing import Any

import pytest

from unblur.config.tracking import tracking_client
from unblur.errors import UnblurError
from unblur.registry.ledger import read_ledger
from unblur.registry.promote import promote
from unblur.registry.rollback import rollback
from unblur.registry.versions import read_aliases


def do(project: Any) -> Any:
    return promote("unblur", project.root, project.root / "artifacts/registry")


@pytest.mark.parametrize("move", [do, lambda project: rollback("unblur")])
def test_a_stored_file_that_was_exchanged_moves_nothing(project: Any, move: Any) -> None:
    for _ in range(2):
        project.judged()
        do(project)
    project.judged()
    client = tracking_client()
    before = read_aliases(client, "unblur")
    for number in (1, 3):
        project.write(f"mlartifacts/judged/{number}/model.onnx", "another")
    with pytest.raises(UnblurError, match="not the file that was registered"):
        move(project)
    assert read_aliases(client, "unblur") == before
    assert len(read_ledger(client, "unblur")) == 2
