"""Send `unblur serve` what nobody should: damaged photographs, clips and tensors, wrong places, options and addresses.

Run `python studies/serving_fuzz.py [--requests 100000] [--seed 0] [--schema 100]`; the last has schemathesis send so
many more to each address, of what its OpenAPI allows and of what it does not. Each request is made from the seed and
its number alone, so what fails can be sent again. An answer of 500, one that does not come, or a server that ends, is a
fault; the tables show the status codes by kind, and on the way the server's memory, requests a second, and its core
milliseconds a request. An explanation gets a second, which is enough to begin it: what begins it is tried here.
"""

import argparse
import io
import json
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import av
import httpx
import numpy as np
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.errors import Unsatisfiable
from PIL import Image
from rich.console import Console
from rich.table import Table
from schemathesis import GenerationMode
from serving_load import Server
from serving_swaps import write_network

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF", "BMP", "PPM")
WORDS = ("", "0", "-1", "1e999", "nan", "auto", "0.5", "jpg", "tiff", "../x", "\x00", "💣", "9" * 400, "true", "[]")
ADDRESSES = (
    "/v1/restore",
    "/v1/jobs",
    "/v1/jobs/x/events",
    "/v1/explain",
    "/v1/model",
    "/v2",
    "/v2/models/unblur",
    "/metrics",
    "/page/..%2f",
    "/x",
)
Request = tuple[str, str, dict[str, str], dict[str, str], bytes]  # method, path, query, headers, body


@dataclass
class Found:
    """Status codes by the kind of request, and what must not be."""

    codes: dict[str, Counter[object]] = field(default_factory=lambda: defaultdict(Counter))
    faults: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--schema", type=int, default=0, help="requests by schemathesis to each address, of each kind")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--port", type=int, default=8767)
    options = parser.parse_args()
    photographs = [*(photograph(kind) for kind in FORMATS), clip()]
    found = Found()
    memory = Table("requests", "memory MiB", "requests a second", "core ms a request", title="the server on the way")
    with tempfile.TemporaryDirectory() as folder:
        network = write_network(Path(folder, "network.onnx"), 0)
        limits = ("--max-megapixels", "0.2", "--max-megabytes", "1", "--seconds", "20", "--keep-results", "1")
        limits += ("--explain-seconds", "1")
        with Server(options, "--model", str(network), "--threads", "1", *limits) as server:
            for tenth in range(10):
                first, last = (options.requests * each // 10 for each in (tenth, tenth + 1))
                begun, used = time.perf_counter(), server.core_seconds()
                send(server.address, iter(range(first, last)), options, photographs, found)
                count, seconds = max(last - first, 1), time.perf_counter() - begun
                of_core = 1000 * (server.core_seconds() - used) / count
                memory.add_row(str(last), f"{server.memory():.0f}", f"{count / seconds:.1f}", f"{of_core:.0f}")
            if options.schema:
                of_schema(server.address, options, found)
                memory.add_row("and schemathesis", f"{server.memory():.0f}", "", "")
    show(found, memory)
    sys.exit(bool(found.faults))


def send(
    address: str,
    numbers: Iterator[int],
    options: argparse.Namespace,
    photographs: list[bytes],
    found: Found,
) -> None:
    def client() -> None:
        with httpx.Client(base_url=address, timeout=60) as http:
            for number in numbers:
                rng = np.random.default_rng((options.seed, number))
                kind = str(rng.choice(list(KINDS)))
                method, path, query, headers, body = KINDS[kind](rng, photographs)
                try:
                    answer = http.request(method, path, params=query, headers=headers, content=body)
                    found.codes[kind][answer.status_code] += 1
                    if answer.status_code >= 500 and answer.status_code != 503:
                        found.faults.append(f"request {number} ({kind}): {answer.status_code} {answer.text[:200]}")
                except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeEncodeError):
                    found.codes[kind]["not sent"] += 1  # what the client itself refuses
                except httpx.HTTPError as error:
                    found.codes[kind][type(error).__name__] += 1
                    found.faults.append(f"request {number} ({kind}): {error!r}")

    threads = [threading.Thread(target=client) for _ in range(options.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def of_schema(address: str, options: argparse.Namespace, found: Found) -> None:
    """Send what OpenAPI allows, and what it does not; an answer with a status that it does not tell is a fault."""
    for each in schemathesis.openapi.from_url(f"{address}/openapi.json").get_all_operations():
        operation = each.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            codes = found.codes[f"OpenAPI, {mode.value}"]

            @seed(options.seed)
            @settings(
                max_examples=options.schema, database=None, deadline=None, suppress_health_check=list(HealthCheck)
            )
            @given(case=operation.as_strategy(mode))
            def ask(case: schemathesis.Case) -> None:
                answer = case.call(timeout=60)
                codes[answer.status_code] += 1  # noqa: B023 (it is called before the next turn)
                if str(answer.status_code) not in case.operation.definition.raw["responses"]:
                    found.faults.append(f"{case.operation.label}: {answer.status_code} {case.as_curl_command()[:300]}")

            with suppress(Unsatisfiable):  # of an address that takes nothing there is nothing wrong to send
                ask()


def damaged(rng: np.random.Generator, content: bytes) -> bytes:
    """Flip, cut, repeat, exchange or insert bytes."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 8))):
        if not data:
            break
        at, length = int(rng.integers(len(data))), int(rng.integers(1, 64))
        match int(rng.integers(6)):
            case 0:
                data[at] ^= 1 << int(rng.integers(8))
            case 1:
                del data[at:]
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = data[at : at + length]
            case 4:
                data[at : at + length] = rng.bytes(length)
            case _:
                data[at : at + 4] = int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF])).to_bytes(4, "big")
    return bytes(data)


def of_photograph(rng: np.random.Generator, photographs: list[bytes]) -> Request:
    """A damaged file to /v1/restore or /v1/jobs."""
    path = str(rng.choice(["/v1/restore"] * 9 + ["/v1/jobs"]))
    query = {"format": str(rng.choice(["jpg", "png", "webp", "tiff"]))} if rng.random() < 0.3 else {}
    return "POST", path, query, {}, damaged(rng, photographs[int(rng.integers(len(photographs)))])


def of_explanation(rng: np.random.Generator, photographs: list[bytes]) -> Request:
    """A damaged or whole file to /v1/explain, with a place and a moment that it may have or not."""
    query = {"at": str(rng.choice([*WORDS, "40,40", "0,0", "16,16,16", *["16,16"] * 40]))}
    for name, values in (("size", ["8", "32", "128", "129", *WORDS]), ("time", ["0", "0.1", "1e5", "-0", *WORDS])):
        if rng.random() < 0.2:
            query[name] = str(rng.choice(values))
    content = photographs[int(rng.integers(len(photographs)))]
    return "POST", "/v1/explain", query, {}, damaged(rng, content) if rng.random() < 0.5 else content


def of_tensor(rng: np.random.Generator, photographs: list[bytes]) -> Request:
    """A damaged request of the Open Inference Protocol, binary or not."""
    side = int(rng.integers(1, 24))
    values = rng.random((1, 3, side, side), dtype=np.float32)
    about: dict[str, object] = {"name": "image", "datatype": "FP32", "shape": [1, 3, side, side]}
    headers, rest = {}, b""
    if rng.random() < 0.5:
        about["data"] = values.ravel().tolist()
    else:
        rest = values.tobytes()
        about["parameters"] = {"binary_data_size": len(rest)}
    for _ in range(int(rng.integers(0, 3))):
        key = str(rng.choice(["name", "datatype", "shape", "data", "parameters"]))
        wrong = [None, -1, 1 << 62, [], {}, "UINT8", [1, 3, -5, 2], [[[0.5]], 1], {"binary_data_size": -1}, True, 1e300]
        about[key] = wrong[int(rng.integers(len(wrong)))]
    head = json.dumps({"inputs": [about]}).encode()
    if rest:
        headers["Inference-Header-Content-Length"] = str(rng.choice([len(head), len(head) + 1, 0, -1, 1 << 40]))
    body = head + rest
    return "POST", "/v2/models/unblur/infer", {}, headers, damaged(rng, body) if rng.random() < 0.5 else body


def of_options(rng: np.random.Generator, photographs: list[bytes]) -> Request:
    """A whole photograph with wrong options and headers, to any address."""
    method = str(rng.choice(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]))
    query = {str(rng.choice(["strength", "format", "deadline", "x"])): str(rng.choice(WORDS)) for _ in range(3)}
    names = ["content-type", "content-encoding", "x-request-id", "accept", "range", "expect", "x-api-key"]
    headers = {str(rng.choice(names)): str(rng.choice(WORDS)) for _ in range(2)}
    headers.pop("expect", None) if rng.random() < 0.9 else None
    return method, str(rng.choice(ADDRESSES)), query, headers, photographs[1] if rng.random() < 0.3 else b"{}"


KINDS: dict[str, Callable[[np.random.Generator, list[bytes]], Request]] = {
    "photograph": of_photograph,
    "explanation": of_explanation,
    "tensor": of_tensor,
    "options": of_options,
}


def photograph(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (4, 4, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def clip() -> bytes:
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as container:
        track = container.add_stream("libx264", rate=10)
        track.width, track.height, track.pix_fmt = 32, 32, "yuv420p"
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 40 * number, np.uint8), format="rgb24")
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return stream.getvalue()


def show(found: Found, memory: Table) -> None:
    table = Table("kind", "requests", "status codes", title="what came back")
    for kind, codes in found.codes.items():
        told = ", ".join(f"{code}: {count}" for code, count in sorted(codes.items(), key=lambda item: str(item[0])))
        table.add_row(kind, str(codes.total()), told)
    Console().print(table, memory, f"{len(found.faults)} faults", *found.faults[:20], sep="\n")


if __name__ == "__main__":
    main()
