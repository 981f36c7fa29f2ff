"""A challenger in the champion's shadow: a real server, and a real process that is killed and stopped."""

import io
import logging
import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe

import cv2
import httpx
import numpy as np
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

import unblur
from unblur.errors import UnblurError
from unblur.records.shadow import Pair, Tally
from unblur.serving.app import make_app
from unblur.serving.challenger import process, worker
from unblur.serving.challenger import shadow as module
from unblur.serving.challenger.messages import Start
from unblur.serving.challenger.shadow import Shadow
from unblur.serving.challenger.share import chosen
from unblur.serving.served import Loaded, Served
from unblur.serving.settings import Settings
from unblur.serving.watching import JsonLines


@pytest.fixture
def photo(make_photo):
    return make_photo()


@pytest.fixture
def models(box_onnx):
    """Champion and challenger."""
    return [unblur.load(box_onnx(side, f"{side}.onnx"), threads=1) for side in (3, 5)]


@pytest.fixture
def shadowed(serve, models, monkeypatch, tmp_path):
    """`shadowed(share=1, patience=60)`: a server, as (its shadow, a client)."""
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.1)
    monkeypatch.setattr(process, "lower_priority", lambda _: None)  # on a busy machine it would take minutes to start
    clients = []

    def start(share=1.0, patience=60.0, challenger="5.onnx"):
        settings = Settings(tile=64, overlap=16)
        shadow = Shadow(str(tmp_path / challenger), share, settings, patience=patience)
        put, shadow.at_work = shadow._put, []
        shadow._put = lambda *asked: (shadow.at_work.append(asked), put(*asked))
        _, address = serve(make_app(Served(Loaded(models[0])), settings, shadow))
        clients.append(httpx.Client(base_url=address, timeout=30))
        return shadow, clients[-1]

    yield start
    for client in clients:
        client.close()


def encoded(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def until(true, seconds=90):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def outcomes(client):
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    return {sample.labels["outcome"]: sample.value for sample in samples if sample.name == "unblur_shadow_total"}


def ready(shadow):
    until(lambda: shadow.told()["shadow"] != shadow.reference and not shadow.fault)


def stopped_at_work(shadow, client, content):
    """Stop the challenger's process, and have a request put to it."""
    ready(shadow)
    before = len(shadow.at_work)
    os.kill(shadow.process.process.pid, signal.SIGSTOP)
    assert client.post("/v1/restore", content=content).status_code == 200
    until(lambda: len(shadow.at_work) > before)


def test_the_champion_answers_as_without_and_the_record_is_right(shadowed, models, photo, caplog):
    caplog.set_level(logging.INFO, logger="unblur.serving")
    shadow, client = shadowed()
    content = encoded(photo)
    answers = [client.post("/v1/restore", content=content, headers={"x-request-id": f"r{n}"}) for n in range(2)]
    until(lambda: sum(tally.requests for tally in shadow.tallies.values()) == 2)
    expected = [model(photo, tile=64, overlap=16) for model in models]
    for answer in answers:
        assert answer.headers["x-unblur-sha256"] == models[0].sha256
        np.testing.assert_array_equal(Image.open(io.BytesIO(answer.content)), expected[0])
    psnr = cv2.PSNR(*expected)
    shift = np.abs(np.subtract(*(each.mean(axis=(0, 1)) for each in expected))).max()
    assert list(shadow.tallies) == [Pair(models[0].name, models[0].sha256, models[1].name, models[1].sha256)]
    (tally,) = shadow.tallies.values()
    assert (tally.requests, tally.errors, tally.psnr) == (2, 0, {int(psnr): 2})
    assert tally.colour_shift_max == pytest.approx(shift, abs=1e-3)
    assert tally.latency_ratio > 0
    lines = [record for record in caplog.records if record.message == "shadowed"]
    assert [line.about["request"] for line in lines] == ["r0", "r1"]
    assert lines[0].about["psnr"] == pytest.approx(psnr, abs=0.01)
    assert len(JsonLines().format(lines[0])) < 800  # nothing of the picture
    assert outcomes(client) == {"compared": 2}
    assert "shadow_fault" not in client.get("/readyz").json()


def test_the_share_is_told_by_the_id(shadowed, photo):
    _, client = shadowed(share=0.5)
    for number in range(12):
        client.post("/v1/restore", content=encoded(photo[:16, :16]), headers={"x-request-id": str(number)})
    expected = sum(chosen(str(number), 0.5) for number in range(12))
    assert 0 < expected < 12
    until(lambda: sum(outcomes(client).values()) == expected)
    assert not any(chosen(str(number), 0.0) for number in range(100))
    assert all(chosen(str(number), 1.0) for number in range(100))


def test_a_challenger_that_dies_or_hangs_is_started_again_and_hurts_nobody(shadowed, photo):
    shadow, client = shadowed(patience=2.0)
    content = encoded(photo)

    def harmed(then_killed):
        ready(shadow)
        hurt, folder = shadow.process, shadow.process._start.folder
        stopped_at_work(shadow, client, content)
        if then_killed:
            hurt.process.kill()
        until(lambda: shadow.process is not hurt)
        assert not folder.exists()

    harmed(then_killed=False)
    harmed(then_killed=True)
    assert sum(tally.errors for tally in shadow.tallies.values()) == 2
    assert client.post("/v1/restore", content=content).status_code == 200
    until(lambda: outcomes(client).get("compared") == 1)
    assert outcomes(client) == {"late": 1, "died": 1, "compared": 1}
    assert not shadow.fault


def test_what_the_backlog_does_not_hold_is_dropped_and_counted(shadowed, photo):
    shadow, client = shadowed()
    content = encoded(photo[:16, :16])
    stopped_at_work(shadow, client, content)
    with ThreadPoolExecutor(4) as several:
        codes = list(several.map(lambda _: client.post("/v1/restore", content=content).status_code, range(11)))
    assert codes == [200] * 11
    until(lambda: outcomes(client).get("dropped") == 11 - module.BACKLOG)
    os.kill(shadow.process.process.pid, signal.SIGCONT)
    until(lambda: outcomes(client).get("compared") == 1 + module.BACKLOG)


def test_a_challenger_that_cannot_be_loaded_is_told_and_the_server_answers(shadowed, photo, caplog):
    _, client = shadowed(challenger="nothing.onnx")
    until(lambda: "shadow_fault" in client.get("/readyz").json())
    assert client.post("/v1/restore", content=encoded(photo)).status_code == 200
    assert any("nothing.onnx" in record.getMessage() for record in caplog.records)


def test_a_challenger_that_is_the_champion_is_not_counted(shadowed, photo):
    shadow, client = shadowed(challenger="3.onnx")
    client.post("/v1/restore", content=encoded(photo))
    until(lambda: outcomes(client) == {"same": 1})
    assert not shadow.tallies


def test_its_process_runs_when_no_other_wants_to_and_ends_with_its_folder():
    started = process.ChallengerProcess("", 0, Settings(), 60)
    folder = started._start.folder
    scheduler = os.sched_getscheduler(started.process.pid)
    started.kill()
    assert scheduler == os.SCHED_IDLE
    assert started.process.returncode == -signal.SIGKILL
    assert not folder.exists()


def test_its_process_reads_photographs_as_large_as_the_server_does(tmp_path, make_photo):
    ours, theirs = Pipe()
    ours.send(Start("", 0, Settings(max_pixels=123_000_000), tmp_path))
    ours.close()
    with pytest.raises(OSError, match="pipe"):
        worker.main(theirs)
    assert Image.MAX_IMAGE_PIXELS == 123_000_000
    photo = encoded(make_photo())
    assert worker.distance(photo, photo, tmp_path, 1_000_000) == (100, 0)
    with pytest.raises(UnblurError, match="megapixels"):
        worker.distance(photo, photo, tmp_path, 1000)


def test_percentiles_of_counts():
    tally = Tally(psnr=Counter({30: 5, 40: 95}))
    assert (tally.psnr_at(0.05), tally.psnr_at(0.04), tally.psnr_at(0.5)) == (40, 30, 40)
    assert Tally().psnr_at(0.05) is None
