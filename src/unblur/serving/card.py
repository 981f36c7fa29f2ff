"""What is known of the model that answers: its card in the registry, or its entry in the list of models."""

import asyncio
import logging
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from fastapi import FastAPI

from unblur.models.catalogue import catalogue
from unblur.runtimes.mlflow_reference import VERSION
from unblur.serving.jobs.explaining import to_install, why_not
from unblur.serving.responses import refusals
from unblur.serving.served import Loaded, Served
from unblur.serving.settings import Settings

FILE = "MODEL_CARD.md"
LONGEST = 1 << 20  # letters of a card that are read
AGAIN_SECONDS = 60.0  # until a registry that had no card is asked again
LOG = logging.getLogger("unblur.serving")


def add_card(app: FastAPI, served: Served, settings: Settings) -> None:
    """Add the address to a server."""
    cards = Cards()

    @app.get("/v1/model", responses=refusals(401))
    async def model() -> dict[str, Any]:
        """Tell of the model that answers: licence, data, figures and its card as Markdown, as far as they are known."""
        now = served.now
        why = why_not(now, settings)
        explained: dict[str, Any] = {"explains": not why} | ({"explains_not": why} if why else {})
        if settings.jobs and settings.explanations and (wanted := to_install()):
            explained["explains_with"] = wanted
        return await asyncio.to_thread(cards.told, now) | explained


class Cards:
    """Looks a model's card up once; a registry that has none is asked again after a minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of, self._found, self._until = "", dict[str, Any](), 0.0

    def told(self, now: Loaded) -> dict[str, Any]:
        """Return name, version and SHA-256, and what else is known; where no card is, `fault` says so in a line."""
        about = {"name": now.model.name, "version": now.version, "sha256": now.model.sha256}
        with self._lock:
            if self._of != now.called or time.monotonic() > self._until:
                named = VERSION.fullmatch(now.reference)
                self._found = _registered(named[1], named[3]) if named and named[3] else _listed(now)
                self._of = now.called
                self._until = time.monotonic() + AGAIN_SECONDS if "fault" in self._found else float("inf")
            return about | self._found


def _listed(now: Loaded) -> dict[str, Any]:
    """Return what the list of models says of a model."""
    found = {model.name: model for model in catalogue()}.get(now.model.name)
    if found is None:
        return {"fault": f"{now.model.name} has no card: it is neither of a registry nor in the list of models"}
    card = found.path.with_name("card.md")
    return {
        "network": found.network,
        "parameters": found.parameters,
        "licence": found.licence,
        "trained_on": found.trained_on,
        "figures": [asdict(figure) for figure in (*found.own, *found.published)],
        "card": card.read_text(encoding="utf-8") if found.in_wheel and card.is_file() else "",
    }


def _registered(name: str, version: str) -> dict[str, Any]:
    """Return the card of a version, and what its front matter says of licence and data."""
    try:
        text = _fetched(name, version)
    except Exception as error:  # whatever MLflow raises: the model answers without its card
        reason = " ".join(str(error).split())[:300]
        LOG.warning("version %s of %s: its card cannot be had (%s)", version, name, reason)
        return {"fault": f"version {version} of {name} has no card, or its registry does not answer; the log says why"}
    head, _, body = text.removeprefix("---\n").partition("\n---\n") if text.startswith("---\n") else ("", "", text)
    try:
        about = yaml.safe_load(head) or {}
    except (yaml.YAMLError, ValueError, OverflowError):  # the last two of dates that there are not
        about = {}
    about = about if isinstance(about, dict) else {}
    licence, data = about.get("license_name") or about.get("license"), about.get("datasets") or []
    found = {"licence": str(licence)} if licence else {}
    found |= {"trained_on": ", ".join(map(str, data))} if isinstance(data, list) and data else {}
    return {**found, "card": body.lstrip("\n")}


def _fetched(name: str, version: str) -> str:
    from unblur.config.tracking import tracking_client

    client = tracking_client()
    run = client.get_model_version(name, version).run_id
    with tempfile.TemporaryDirectory(prefix="unblur-", ignore_cleanup_errors=True) as folder:
        card = Path(client.download_artifacts(run, FILE, folder))
        with card.open(encoding="utf-8") as stream:
            return stream.read(LONGEST)
