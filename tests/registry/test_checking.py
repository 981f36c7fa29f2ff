"""Aliases that were set by hand, against the ledger."""

from typing import Any

import pytest

from unblur.commands.registry import check
from unblur.config.tracking import tracking_client
from unblur.errors import NoModelVersionError, UsageError
from unblur.registry.checking import Lag, Report, check_registry
from unblur.registry.promote import promote
from unblur.registry.rollback import rollback
from unblur.registry.versions import read_aliases


def test_aliases_are_made_what_the_ledger_says(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_registry("unblur") == Report()  # nothing was moved yet
    for _ in range(3):
        project.judged()
        promote("unblur", project.root, project.root / "artifacts/registry")
    rollback("unblur")
    assert check_registry("unblur") == Report()
    client = tracking_client()
    right = read_aliases(client, "unblur")
    assert (right["champion"], right["previous_champion"]) == (2, 1)
    client.set_registered_model_alias("unblur", "champion", "3")
    client.delete_registered_model_alias("unblur", "previous_champion")
    wrong = read_aliases(client, "unblur")
    assert check_registry("unblur").lags == [Lag("champion", 3, 2), Lag("previous_champion", None, 1)]
    assert check("unblur", mend=False) == 1
    assert read_aliases(client, "unblur") == wrong  # looking changes nothing
    assert check("unblur", mend=True) == 0
    assert read_aliases(client, "unblur") == right
    assert check("unblur", mend=False) == 0
    with pytest.raises(UsageError, match="give one of them"):
        check("unblur", mend=True, adopt="why")
    client.delete_model_version("unblur.ledger", "1")
    assert check("unblur") == 1
    assert "are where its ledger says" in capsys.readouterr().out


def test_a_champion_of_the_ledger_that_was_deleted_is_told(project: Any) -> None:
    project.judged()
    promote("unblur", project.root, project.root / "artifacts/registry")
    client = tracking_client()
    client.delete_registered_model_alias("unblur", "champion")
    client.delete_model_version("unblur", "1")
    with pytest.raises(NoModelVersionError, match="no version 1 of unblur"):
        check_registry("unblur", mend=True)
