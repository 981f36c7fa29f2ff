"""MLflow's webhook: an address that its server calls when an alias moves, so that the new version answers at once."""

import asyncio
import base64
import hashlib
import hmac
import logging
import time

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from unblur.serving.body import hand_on
from unblur.serving.served import Served

ADDRESS = "/hooks/mlflow"
MOST_BYTES, UPLOAD_SECONDS = 1 << 16, 5.0
OLDEST_SECONDS = 300.0  # of a call, so that one that somebody has recorded cannot be sent again for ever
LOG = logging.getLogger("unblur.serving")


def add_webhook(app: FastAPI, served: Served, secret: str) -> None:
    """Add the address: who signs with the secret, as MLflow does, has the server look where its alias leads."""
    looking: set[asyncio.Task[None]] = set()  # or else a task may be collected before it has ended

    @app.post(ADDRESS, include_in_schema=False, status_code=202)
    async def moved(request: Request) -> Response:
        content = bytearray()
        await hand_on(request, content.extend, MOST_BYTES, UPLOAD_SECONDS)
        given = {
            name: request.headers.get(f"x-mlflow-{name}", "") for name in ("delivery-id", "timestamp", "signature")
        }
        if not signed(bytes(content), secret, **{name.replace("-", "_"): text for name, text in given.items()}):
            raise HTTPException(401, "no known signature, or one that is older than five minutes")
        LOG.info("the registry says that something has moved")
        task = asyncio.create_task(asyncio.to_thread(served.look))  # it waits for nobody, as MLflow does not either
        looking.add(task)
        task.add_done_callback(looking.discard)
        return Response(status_code=202)


def signed(content: bytes, secret: str, *, delivery_id: str, timestamp: str, signature: str) -> bool:
    """Say whether MLflow has signed this content with the secret, within the last five minutes.

    It signs `delivery_id.timestamp.content` by HMAC-SHA256, in Base64 after "v1,".
    """
    told = f"{delivery_id}.{timestamp}.".encode() + content
    expected = base64.b64encode(hmac.digest(secret.encode(), told, hashlib.sha256)).decode()
    if not hmac.compare_digest(f"v1,{expected}".encode(), signature.encode()):
        return False
    return timestamp.isdecimal() and abs(time.time() - int(timestamp)) <= OLDEST_SECONDS
