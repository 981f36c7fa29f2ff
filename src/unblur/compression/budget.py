"""What quantization costs: of a whole graph, of each part alone, and which parts go back to float to keep a budget."""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from unblur.compression.graph_parts import released
from unblur.evaluation.fidelity import colour_shift, mean_score
from unblur.runtimes.graph import GraphRestorer, GraphStream
from unblur.runtimes.sessions import open_session

Images = NDArray[np.float32]
Track = Callable[[Sequence[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Cost:
    """What a graph loses against the one in float32.

    Attributes:
        lost_db: mean over the pairs, profile psnr/literature.
        colour_shift: largest shift of a channel's mean in any pair, in steps of 255.
    """

    lost_db: float
    colour_shift: float

    def within(self, lost_db: float, colour_shift: float) -> bool:
        """Tell whether it keeps both limits; figures that are no numbers do not."""
        return self.lost_db <= lost_db and self.colour_shift <= colour_shift


@dataclass(frozen=True)
class PartCost:
    """What it costs to quantize one part of the network and nothing else."""

    part: str
    layers: int
    lost_db: float
    colour_shift: float


class Judge:
    """Restores pairs with a graph and compares it with the graph in float32, both by OpenVINO.

    Args:
        original: in float32.
        pairs: blurred and sharp, as `unblur.evaluation.fixed_pairs.read_pair` gives them.
        threads: of OpenVINO.
    """

    def __init__(self, original: onnx.ModelProto, pairs: Sequence[tuple[Images, Images]], threads: int | None) -> None:
        self._pairs, self._threads = pairs, threads
        self._float = self._restored(original)
        self._psnr = self._mean_psnr(self._float)

    def __call__(self, graph: onnx.ModelProto) -> Cost:
        """Return what the graph loses."""
        restored = self._restored(graph)
        shifts = [colour_shift(ours, theirs) for ours, theirs in zip(restored, self._float, strict=True)]
        return Cost(self._psnr - self._mean_psnr(restored), float(np.max(shifts)))

    def _restored(self, graph: onnx.ModelProto) -> list[Images]:
        with tempfile.TemporaryDirectory(prefix="unblur-") as folder:
            file = Path(folder) / "model.onnx"
            file.write_bytes(graph.SerializeToString())
            session = open_session(file, file.name, runtime="openvino", threads=self._threads)
            restorer = (GraphStream if "hidden" in session.inputs else GraphRestorer)(session, file.name, "")
            return [np.clip(restorer(blurred), 0, 1) for blurred, _ in self._pairs]

    def _mean_psnr(self, restored: Sequence[Images]) -> float:
        scores = [mean_score(ours, sharp) for ours, (_, sharp) in zip(restored, self._pairs, strict=True)]
        return float(np.mean(scores))


def sensitivity(
    quantized: onnx.ModelProto,
    original: onnx.ModelProto,
    layers: Mapping[str, str],
    judge: Judge,
    track: Track = lambda parts: parts,
) -> list[PartCost]:
    """Return what each part costs, the worst first.

    Args:
        quantized: with all `layers` quantized.
        original: in float32.
        layers: name of the node -> part.
        judge: of graphs.
        track: wraps the parts, for a progress bar.
    """
    found = []
    for part in track(list(dict.fromkeys(layers.values()))):
        others = [name for name, owner in layers.items() if owner != part]
        cost = judge(released(quantized, original, others))
        found.append(PartCost(part, len(layers) - len(others), cost.lost_db, cost.colour_shift))
    return sorted(found, key=lambda each: each.lost_db, reverse=True)


def keep_budget(
    quantized: onnx.ModelProto,
    original: onnx.ModelProto,
    layers: Mapping[str, str],
    order: Sequence[str],
    accept: Callable[[onnx.ModelProto], bool],
) -> tuple[onnx.ModelProto, list[str]] | None:
    """Return the graph with the fewest parts back in float that is accepted, and those parts; None if there is none.

    Args:
        quantized: with all `layers` quantized.
        original: in float32.
        layers: name of the node -> part.
        order: of the parts, in which they go back to float; at least the last one stays quantized.
        accept: tells whether a graph keeps the budget.
    """
    for count in range(len(order)):
        gone = set(order[:count])
        graph = released(quantized, original, [name for name, part in layers.items() if part in gone])
        if accept(graph):
            return graph, list(order[:count])
    return None
