"""The process of a challenger: `python -m unblur.serving.challenger.worker FD`, which the server starts.

It restores again what the champion has answered, compares both, and writes the counts into the registry. What goes
wrong here, or hangs, is the server's to count; the process ends when the server has closed its end of the socket.
"""

import logging
import signal
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from unblur.errors import UnblurError, one_line
from unblur.images.photo import read_photo
from unblur.records.shadow import SAME, Pair
from unblur.serving.challenger.messages import Asked, Compared, Publish, Published, Ready, Start
from unblur.serving.served import Loaded, Served, load_served
from unblur.serving.upload import restore_upload
from unblur.serving.watching import log_to_stdout

LONGEST_WAIT = 1e6  # seconds; what the system waits is told in milliseconds of 31 bits


def main(link: Connection) -> None:
    """Answer the server until it hangs up."""
    start: Start = link.recv()
    Image.MAX_IMAGE_PIXELS = start.settings.max_pixels  # Pillow's own limit, as in the server
    served: Served | None = None
    if start.reference:
        try:
            served = load_served(start.reference, 1, start.follow, start.settings.tile)
        except Exception as error:
            link.send(Ready(fault=_told(error)))
            return
    link.send(_ready(served))
    looked = time.monotonic()
    while True:
        asked = link.recv() if link.poll(min(start.follow, LONGEST_WAIT) or None) else None
        if isinstance(asked, Publish):
            link.send(publish(asked))
        elif asked is not None and served is not None:
            link.send(compare(served.now, asked, link.recv_bytes(), link.recv_bytes(), start))
        if served is not None and start.follow and time.monotonic() >= looked + start.follow:
            served.look()
            looked = time.monotonic()


def compare(now: Loaded, asked: Asked, content: bytes, answer: bytes, start: Start) -> Compared:
    """Restore an upload, and hold what comes out against the champion's answer to it."""
    pair = Pair(asked.champion, asked.champion_sha256, now.called, now.model.sha256)
    if (now.model.sha256, now.reduction) == (asked.champion_sha256, asked.reduction):
        return Compared(pair, same=True)
    begun = time.perf_counter()
    try:
        restored = restore_upload(
            now.model.restorer,
            content,
            ending=asked.ending,
            strength=asked.strength,
            settings=start.settings,
            stop=threading.Event(),
            where=start.folder,
        )
        milliseconds = (time.perf_counter() - begun) * 1000
        psnr, shift = distance(restored.content, answer, start.folder, start.settings.max_pixels)
    except Exception as error:
        return Compared(pair, error=_told(error).replace(f"{start.folder}/", ""))
    return Compared(pair, False, milliseconds, psnr, shift, restored.guarded)


def distance(one: bytes, other: bytes, folder: Path, max_pixels: int) -> tuple[float, float]:
    """Return PSNR in dB, at most 100, and colour shift in steps of 255 between two files of photographs.

    Raises:
        UnblurError: they are of different size, or have more than `max_pixels`.
    """
    with tempfile.TemporaryDirectory(dir=folder) as name:
        pixels = []
        for place, content in enumerate((one, other)):
            path = Path(name, str(place))
            path.write_bytes(content)
            found = read_photo(path, max_pixels).pixels
            pixels.append(found.astype(np.float32) / np.iinfo(found.dtype).max)
    if pixels[0].shape != pixels[1].shape:
        msg = f"answers of different size: {pixels[0].shape} and {pixels[1].shape}"
        raise UnblurError(msg)
    means = [each.mean(axis=(0, 1), dtype=np.float64) for each in pixels]
    return min(float(SAME), float(cv2.PSNR(pixels[0], pixels[1], 1.0))), float(np.abs(means[0] - means[1]).max() * 255)


def publish(asked: Publish) -> Published:
    """Write counts into the registry."""
    try:
        from unblur.registry.shadowed import publish_tally

        publish_tally(asked.pair, asked.tally, asked.server)
    except Exception as error:
        return Published(_told(error))
    return Published()


def _ready(served: Served | None) -> Ready:
    if served is None:
        return Ready()
    return Ready(served.now.called, served.now.model.sha256)


def _told(error: Exception) -> str:
    if not isinstance(error, UnblurError):
        logging.getLogger("unblur.serving").warning("the challenger has failed", exc_info=error)
    return one_line(" ".join(f"{error}".split()) or type(error).__name__)[:500]


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends it
    cv2.setNumThreads(1)
    log_to_stdout()
    try:
        main(Connection(int(sys.argv[1])))
    except (EOFError, OSError):  # the server has gone
        sys.exit(0)
