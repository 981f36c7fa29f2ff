"""The body of a request, read within limits."""

import asyncio
from collections.abc import Callable

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from unblur.serving.settings import Settings

GONE = 499  # nobody reads this status; counters and log do


async def read_body(request: Request, settings: Settings) -> bytes:
    """Return the body; raises as `hand_on` does."""
    content = bytearray()
    await hand_on(request, content.extend, settings.max_bytes, settings.upload_seconds)
    return bytes(content)


async def hand_on(request: Request, take: Callable[[bytes], object], max_bytes: int, seconds: float) -> None:
    """Call `take` with each part of the body as it comes.

    Raises:
        HTTPException: 413 above `max_bytes`, 408 after `seconds`, 499 where the client has gone.
    """
    too_large = HTTPException(413, f"more than {max_bytes} bytes, the most that is taken")
    length, taken = request.headers.get("content-length", ""), 0
    if length.isdecimal() and int(length) > max_bytes:
        raise too_large
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                taken += len(part)
                if taken > max_bytes:
                    raise too_large
                take(part)
    except ClientDisconnect as error:
        raise HTTPException(GONE, "the client has gone") from error
    except TimeoutError as error:
        raise HTTPException(408, f"the upload took more than {seconds:g} s") from error
