"""A challenger of a real registry: followed by its alias, and its counts in the registry when the server has ended."""

import io
import time

import httpx
import pytest
from PIL import Image

import unblur
from unblur.safety.hashing import sha256_file
from unblur.serving.app import make_app
from unblur.serving.challenger import process, shadow
from unblur.serving.challenger.shadow import Shadow
from unblur.serving.served import Loaded, Served
from unblur.serving.settings import Settings


@pytest.mark.slow
@pytest.mark.pipeline
@pytest.mark.parametrize("killed", [False, True])
def test_what_a_server_has_counted_is_in_the_registry_at_its_end(
    killed, tmp_path, monkeypatch, box_onnx, make_photo, serve
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("UNBLUR_ROOT", str(tmp_path))
    monkeypatch.setattr(process, "lower_priority", lambda _: None)
    monkeypatch.setattr(shadow, "END_SECONDS", 60.0)
    from unblur.config.tracking import tracking_client
    from unblur.registry.shadowed import read_tally

    client = tracking_client()
    client.create_registered_model("unblur")
    run = client.create_run(client.create_experiment("e", artifact_location=(tmp_path / "artifacts").as_uri()))
    sha256 = []
    for side in (3, 5):
        path = box_onnx(side, f"{side}/model.onnx")
        sha256.append(sha256_file(path))
        client.create_model_version("unblur", path.parent.as_uri(), run.info.run_id, tags={"model_sha256": sha256[-1]})
    client.set_registered_model_alias("unblur", "challenger", "2")
    champion = Loaded(unblur.load("models:/unblur/1", threads=1), "models:/unblur/1")
    settings = Settings(tile=64, overlap=16)
    challenger = Shadow("models:/unblur@challenger", 1.0, settings)
    server, address = serve(make_app(Served(champion), settings, challenger))
    stream = io.BytesIO()
    Image.fromarray(make_photo()).save(stream, "PNG")
    for _ in range(3):
        assert httpx.post(f"{address}/v1/restore", content=stream.getvalue(), timeout=30).status_code == 200
    end = time.monotonic() + 120
    while sum(tally.requests for tally in challenger.tallies.values()) < 3:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert httpx.get(f"{address}/readyz").json()["shadow"] == "models:/unblur/2"
    if killed:  # the counts are the server's, and get there by another process
        challenger.process.process.kill()
    server.should_exit = True
    challenger._thread.join(120)
    found = read_tally(client, "unblur", sha256[1], sha256[0])
    assert (found.requests, found.errors, found.psnr.total()) == (3, 0, 3)
    (counted,) = challenger.tallies.values()
    assert found == counted
    assert found.dropped == 0
    tags = client.get_model_version("unblur", "2").tags
    assert (tags["unblur.shadow.requests"], tags["unblur.shadow.champion"]) == ("3", "1")
