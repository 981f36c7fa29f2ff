"""Reading versions and aliases from a real registry."""

from typing import Any

import pytest

from unblur.config.tracking import tracking_client
from unblur.errors import UnblurError
from unblur.registry.versions import Version, candidate_version, find_by_sha256, read_aliases, read_version


@pytest.fixture
def client(project: Any) -> Any:
    """A registry with two versions of the same file and one of another."""
    client = tracking_client()
    client.create_registered_model("unblur")
    for sha256 in ("a" * 64, "b" * 64, "a" * 64):
        client.create_model_version("unblur", "file:///nowhere", tags={"model_sha256": sha256})
    client.set_registered_model_alias("unblur", "candidate", "2")
    return client


def test_aliases_are_numbers(client: Any) -> None:
    assert read_aliases(client, "unblur") == {"candidate": 2}
    assert read_aliases(client, "nosuch") == {}


def test_a_version_with_its_tags(client: Any) -> None:
    version = read_version(client, "unblur", 2)
    assert version == Version("unblur", 2, "", {"model_sha256": "b" * 64})
    assert (version.sha256, version.uri, str(version)) == ("b" * 64, "models:/unblur/2", "unblur v2")
    with pytest.raises(UnblurError, match="no version 9 of unblur"):
        read_version(client, "unblur", 9)


def test_the_newest_version_of_a_file(client: Any) -> None:
    found = find_by_sha256(client, "unblur", "a" * 64)
    assert found is not None
    assert found.number == 3
    assert find_by_sha256(client, "unblur", "c" * 64) is None
    assert find_by_sha256(client, "nosuch", "a" * 64) is None


def test_the_candidate(client: Any) -> None:
    assert candidate_version(client, "unblur", read_aliases(client, "unblur")).number == 2
    with pytest.raises(UnblurError, match="unblur register"):
        candidate_version(client, "unblur", {"champion": 1})
