"""Keys with their old names."""

import logging

import pytest

from unblur.config.compose import compose
from unblur.config.renamed import RENAMED, as_called_now


def test_an_old_key_sets_the_new_one_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        config = compose(["data=pairs", "data.manifest=mine.csv", "data.root=/mnt/mine"])
    assert (config.data.source.manifest, config.data.source.root) == ("mine.csv", "/mnt/mine")
    assert caplog.messages == [f"{old} is called {new} now" for old, new in RENAMED.items()]


def test_what_only_looks_like_an_old_key_stays_as_it_is() -> None:
    same = [
        "data.manifests=a",
        "my.data.manifest=a",
        "--config",
        "data.manifest.csv",
        "data.source.manifest=data.root=1",
    ]
    assert as_called_now(same) == same
    assert as_called_now(["+data.root=a=b\nc", "~data.manifest"]) == [
        "+data.source.root=a=b\nc",
        "~data.source.manifest",
    ]
