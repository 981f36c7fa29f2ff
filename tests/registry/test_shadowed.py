"""Counts of several servers in a real store, and the gate that asks for them."""

from collections import Counter
from typing import Any

import pytest

from unblur.config.tracking import tracking_client
from unblur.errors import GateRefusedError, UnblurError
from unblur.records.shadow import Pair, Tally
from unblur.registry.gate import run_gate
from unblur.registry.promote import promote
from unblur.registry.register import register
from unblur.registry.shadowed import publish_tally, read_tally
from unblur.registry.versions import Version, read_aliases, read_version


@pytest.fixture
def pair(project: Any) -> Pair:
    """Champion v1 and candidate v2."""
    for amount in (0.8, 0.8001):
        project.export(amount)
        register(project.cfg, project.root)
        if amount == 0.8:
            run_gate(project.cfg, project.root)
            promote("unblur", project.root, project.root / "artifacts/registry")
    champion, challenger = version(1), version(2)
    return Pair(champion.uri, champion.sha256, challenger.uri, challenger.sha256)


def version(number: int) -> Version:
    return read_version(tracking_client(), "unblur", number)


def test_servers_add_up_and_the_gate_counts_them(project: Any, pair: Pair) -> None:
    """One test, as each registry takes seconds to make."""
    gate = project.cfg.gate
    gate.min_shadow_requests, gate.max_shadow_errors, gate.min_shadow_psnr = 30, 0.1, 40.0
    root, folder = project.root, project.root / "artifacts/registry"
    record = run_gate(project.cfg, root)
    assert record is not None
    with pytest.raises(GateRefusedError, match=r"min_shadow_requests: 0, at least 30 wanted, missed by 30"):
        record.require_passed()
    assert read_aliases(tracking_client(), "unblur")["challenger"] == 2  # or no server could put requests to it
    with pytest.raises(GateRefusedError, match="min_shadow_requests"):
        promote("unblur", root, folder)

    first = Tally(12, 1, 3, 2, 1, 100.0, 150.0, 0.5, Counter({45: 10, 38: 1}))
    publish_tally(pair, first, "one")
    assert read_tally(tracking_client(), "unblur", pair.challenger_sha256, pair.champion_sha256) == first
    first += Tally(8, 0, 0, 0, 0, 100.0, 50.0, 0.25, Counter({45: 8}))
    publish_tally(pair, first, "one")  # all of one server stands in one run
    record = run_gate(project.cfg, root)
    assert record is not None
    assert [each.rule for each in record.results if not each.passed] == ["min_shadow_requests", "min_shadow_psnr"]
    assert [each.figure for each in record.results[-3:]] == [20, 0.05, 38]
    assert "challenger" not in read_aliases(tracking_client(), "unblur")  # its answers are too far from the champion's

    publish_tally(pair, Tally(20, 0, 0, 0, 0, 200.0, 100.0, 2.0, Counter({50: 20})), "other")
    of_another = Pair("", "0" * 64, pair.challenger, pair.challenger_sha256)
    publish_tally(of_another, Tally(500, 500), "one")  # beside another champion: counts for nothing
    record = run_gate(project.cfg, root)
    assert record is not None
    record.require_passed()
    assert [each.figure for each in record.results[-3:]] == [40, 0.025, 45]
    assert read_aliases(tracking_client(), "unblur")["challenger"] == 2
    publish_tally(pair, first, "one")
    tags = {key.removeprefix("unblur.shadow."): value for key, value in version(2).tags.items()}
    assert (tags["champion"], tags["requests"], tags["errors"], tags["dropped"]) == ("1", "40", "1", "3")
    assert (tags["psnr_median"], tags["psnr_low"], tags["colour_shift_max"]) == ("50", "45", "2.0")
    assert float(tags["latency_ratio"]) == pytest.approx(300 / 400)
    promote("unblur", root, folder)
    assert run_gate(project.cfg, root) is None  # nobody is in the shadow of itself
    assert read_aliases(tracking_client(), "unblur") == {"candidate": 2, "champion": 2, "previous_champion": 1}


def test_counts_that_were_written_in_part_are_not_counted_again(project: Any) -> None:
    """A run is there, and then a version that is not there yet can have no tags."""
    client = tracking_client()
    pair = Pair("models:/other/1", "a" * 64, "models:/other/2", "b" * 64)
    of_a_file = Pair("champion.onnx", "a" * 64, "models:/other/2", "b" * 64)
    for requests in (3, 5):
        with pytest.raises(UnblurError):
            publish_tally(pair, Tally(requests), "0123456789abcdef")
    client.create_registered_model("other")
    for _ in range(2):
        client.create_model_version("other", project.root.as_uri())
    publish_tally(pair, Tally(8), "0123456789abcdef")
    publish_tally(of_a_file, Tally(1), "0123456789abcdef")  # the same files under another name are counted apart
    publish_tally(pair, Tally(20), "fedcba9876543210")
    assert read_tally(client, "other", "b" * 64, "a" * 64).requests == 8 + 1 + 20
    assert client.get_model_version("other", "2").tags["unblur.shadow.requests"] == "29"
