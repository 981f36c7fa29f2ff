"""A challenger that answers a share of the clients: who gets it, and every way back to the champion."""

import io
import threading
import time
from dataclasses import dataclass

import httpx
import numpy as np
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from unblur.errors import UnblurError
from unblur.library import Model
from unblur.serving.app import make_app
from unblur.serving.challenger import canary as module
from unblur.serving.challenger.canary import Canary
from unblur.serving.challenger.share import chosen
from unblur.serving.served import Alias, Loaded, Served
from unblur.serving.settings import Settings


class Restoring:
    """A restorer that adds `amount`, or does what `act` does."""

    task = "image"

    def __init__(self, name, amount):
        self.name, self.sha256, self.amount = name, name[0] * 64, amount
        self.act = lambda batch: batch + np.float32(self.amount / 255)

    def __call__(self, batch):
        return self.act(batch)


@dataclass
class Trial:
    """A server with a champion that adds 1, and a challenger that adds 2, each to 255 steps."""

    champion: Restoring
    challenger: Restoring
    canary: Canary
    client: httpx.Client
    photo: np.ndarray

    def ask(self, client="", expected=200, **query):
        stream = io.BytesIO()
        Image.fromarray(self.photo).save(stream, "PNG")
        answer = self.client.post(
            "/v1/restore", content=stream.getvalue(), params=query, headers={"x-api-key": client} if client else {}
        )
        assert answer.status_code == expected, answer.text
        return answer

    def who(self, answer):
        """Return who has answered, by the pixels, which have to be those of the version in the header."""
        added = np.asarray(Image.open(io.BytesIO(answer.content))).astype(int) - self.photo
        by = {1: "champion", 2: "challenger"}[int(np.unique(added).item())]
        assert answer.headers["x-unblur-version"] == {"champion": "1", "challenger": "2"}[by]
        return by

    def told(self):
        return self.client.get("/readyz").json()

    def counts(self):
        families = text_string_to_metric_families(self.client.get("/metrics").text)
        found = {sample.name: sample for family in families for sample in family.samples if "canary" in sample.name}
        return found["unblur_canary_on"].value


@pytest.fixture
def trial(serve, make_photo):
    opened = []

    def start(share=1.0, seconds=60.0):
        settings = Settings(seconds=seconds, workers=2)
        champion, challenger = Restoring("champion", 1), Restoring("dare", 2)
        canary = Canary(lambda: Served(Loaded(Model(challenger), "models:/unblur/2")), share, settings)
        served = Served(Loaded(Model(champion), "models:/unblur/1"))
        canary.look()
        _, address = serve(make_app(served, settings, canary=canary))
        opened.append(httpx.Client(base_url=address, timeout=30))
        return Trial(champion, challenger, canary, opened[-1], np.clip(make_photo(), 0, 240))

    yield start
    for client in opened:
        client.close()


def red(batch):
    return batch + np.array([0.5, 0, 0], np.float32)[:, None, None]


def failing(batch):
    raise RuntimeError("broken")


def test_a_client_stays_with_one_of_both(trial):
    found = trial(share=0.5)
    clients = [f"key {number}" for number in range(12)]
    first = [found.who(found.ask(client)) for client in clients]
    assert first == [found.who(found.ask(client)) for client in clients]
    assert first == ["challenger" if chosen(f"canary {client}", 0.5) else "champion" for client in clients]
    assert set(first) == {"champion", "challenger"}
    by_address = {found.who(found.ask()) for _ in range(3)}
    assert len(by_address) == 1
    assert found.told()["canary"] == "models:/unblur/2"


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (failing, "error"),
        (lambda batch: batch * np.nan, "error"),
        (red, "guarded"),
        (lambda batch: batch[..., :-1], "error"),
    ],
)
def test_no_request_fails_and_the_second_failure_is_the_last(trial, act, why, caplog):
    caplog.set_level("INFO", logger="unblur.serving")
    found = trial()
    assert found.who(found.ask()) == "challenger"
    assert found.counts() == 1
    well, found.challenger.act = found.challenger.act, act
    assert found.who(found.ask()) == "champion"
    assert "canary_fault" not in found.told()
    assert found.who(found.ask()) == "champion"
    assert found.told()["canary_fault"] == "switched off: 2 of its last 3 answers failed"
    assert found.counts() == 0
    found.challenger.act = well
    assert found.who(found.ask()) == "champion"
    lines = [record.about for record in caplog.records if record.message == "answered" and "canary" in record.about]
    assert [(line["canary"], line["version"]) for line in lines] == [("answered", "2"), (why, "1"), (why, "1")]
    assert sum("switched off" in record.getMessage() for record in caplog.records) == 1


def test_failures_that_are_far_apart_are_let_pass(trial):
    found = trial()
    well = found.challenger.act
    for _ in range(2):
        found.challenger.act = failing
        found.ask()
        found.challenger.act = well
        for _ in range(module.RECENT):
            assert found.who(found.ask()) == "challenger"


def test_what_the_champion_cannot_do_either_is_not_held_against_it(trial):
    found = trial()
    for _ in range(3):
        found.ask(expected=422, strength="2")
        answer = found.client.post("/v1/restore", content=b"no picture")
        assert answer.status_code == 422
    found.champion.act = found.challenger.act = red
    for _ in range(3):
        assert found.ask().headers["x-unblur-version"] == "1"
    found.champion.act = found.challenger.act = failing
    found.ask(expected=500)
    assert "canary_fault" not in found.told()


def test_one_that_hangs_leaves_the_champion_time_to_answer(trial):
    found, over = trial(), threading.Event()
    found.challenger.act = lambda batch: over.wait(60) and batch
    start = time.monotonic()
    assert found.who(found.ask(deadline=4)) == "champion"
    assert 2 <= time.monotonic() - start < 4
    assert found.who(found.ask(deadline=4)) == "champion"
    assert "switched off" in found.told()["canary_fault"]
    over.set()


def test_one_that_is_much_slower_is_switched_off(trial):
    found = trial(share=0.5)
    one = {chosen(f"canary {name}", 0.5): str(name) for name in range(20)}
    slow = found.challenger.act
    found.challenger.act = lambda batch: (time.sleep(0.3), slow(batch))[1]
    for _ in range(module.FEWEST_TIMED):
        assert found.who(found.ask(one[False])) == "champion"
    for _ in range(module.FEWEST_TIMED):
        assert found.who(found.ask(one[True])) == "challenger"
    assert "times as long as the champion" in found.told()["canary_fault"]
    assert found.who(found.ask(one[True])) == "champion"


def test_another_version_begins_anew_and_one_that_fails_the_self_test_never_answers():
    leads_to = ["models:/unblur/2"]
    bad = Restoring("bad", 0)
    bad.act = lambda batch: 1 - batch

    def load(reference):
        return Model(bad if reference.endswith("3") else Restoring(reference[-1], 2))

    alias = Alias(lambda: leads_to[0], load)
    canary = Canary(lambda: Served(Loaded(load("2"), leads_to[0]), alias, tile=32), 1.0, Settings())
    canary.look()
    canary.fault = "switched off: so"
    canary.look()
    assert canary.fault
    leads_to[0] = "models:/unblur/3"
    canary.look()
    assert canary.told() == {"canary": "models:/unblur/2", "canary_fault": "switched off: so"}
    leads_to[0] = "models:/unblur/4"
    canary.look()
    assert canary.told() == {"canary": "models:/unblur/4"}


def test_one_that_cannot_be_loaded_is_told_and_tried_again(monkeypatch, caplog):
    tries = []

    def load():
        tries.append(1)
        if len(tries) < 2:
            raise UnblurError("no such version")
        return Served(Loaded(Model(Restoring("dare", 2)), "models:/unblur/2"))

    canary = Canary(load, 1.0, Settings())
    for _ in range(3):
        canary.look()
    assert (len(tries), canary.told()["canary_fault"]) == (1, "cannot be loaded; the log says why")
    assert any("no such version" in record.getMessage() for record in caplog.records)
    canary._again = 0.0
    canary.look()
    assert canary.told() == {"canary": "models:/unblur/2"}
