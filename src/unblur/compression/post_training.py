"""A trained network in fewer bits: all of it, then less of it, then trained for it, until the budget is kept."""

import copy
import itertools
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
from torch import nn

from unblur.compression.budget import Cost, Judge, PartCost, keep_budget, sensitivity
from unblur.compression.calibration import Calibration, calibration
from unblur.compression.fake_quantization import fake_quantized
from unblur.compression.finetune import finetune
from unblur.compression.graph_parts import halved, in_bytes, quantizable
from unblur.compression.quantize import quantize
from unblur.config.schema import PipelineConfig
from unblur.errors import UnblurError
from unblur.evaluation.fixed_pairs import read_pairs
from unblur.export.onnx import export_onnx
from unblur.networks.folding import fold
from unblur.training.datamodule import restoration_data

KINDS = ("int8", "int8_weights", "fp16")
Track = Callable[[Sequence[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Quantized:
    """A network's graphs of fewer bits, and what they cost.

    Attributes:
        graphs: by kind; only those that keep the budget.
        costs: by kind, of all that were tried.
        parts: what it costs to quantize each part alone, the worst first.
        floats: parts that went back to float in "int8".
        layers: layers that are int8 there, and all that could be.
        samples: of the training, that the ranges come from.
        trained: the network after training with quantization in the loop; None where that was not needed.
    """

    graphs: dict[str, onnx.ModelProto]
    costs: dict[str, Cost]
    parts: list[PartCost]
    floats: list[str]
    layers: tuple[int, int]
    samples: Sequence[str]
    trained: nn.Module | None = field(default=None)


def quantize_network(
    cfg: PipelineConfig,
    network: nn.Module,
    name: str,
    exported: Path,
    *,
    say: Callable[[str], None] = lambda _: None,
    track: Track = lambda parts: parts,
) -> Quantized:
    """Return what `quantize.kinds` asks for of the network, each within the budget or not at all.

    Args:
        cfg: `quantize` says what and how far; `data` where ranges come from; the validation pairs decide.
        network: in eval mode; stays as it is.
        name: of the network within the pipeline.
        exported: where its graph in float32 is written, which takes a minute and is what `unblur export` wants too.
        say: takes a line about each step.
        track: wraps the parts whose cost is measured, for a progress bar.

    Raises:
        UnblurError: a kind is unknown, or there is nothing to quantize or to measure with.
    """
    unknown = set(cfg.quantize.kinds) - set(KINDS)
    if unknown:
        msg = f"quantize.kinds has {', '.join(sorted(unknown))}; known: {', '.join(KINDS)}"
        raise UnblurError(msg)
    pairs = read_pairs(Path(cfg.paths.prepared), "val", cfg.quantize.pairs)
    original, samples = _graph(cfg, network, exported)
    judge = Judge(original, pairs, cfg.benchmark.threads)
    found = _within_budget(cfg, original, samples, judge, say=say, track=track)
    if "int8" not in cfg.quantize.kinds or "int8" in found.graphs or not cfg.quantize.finetune.epochs:
        return found
    say(f"{name}: int8 loses {found.costs['int8'].lost_db:.3f} dB; training with quantization in the loop")
    student = copy.deepcopy(network)
    loader = restoration_data(cfg).train_dataloader()
    batches = [batch["blur"] for batch in itertools.islice(loader, cfg.quantize.batches)]
    with fake_quantized(student, batches, cfg.quantize.ends):
        finetune(cfg, student, network, cfg.quantize.finetune, f"quantize {name}")
    with tempfile.TemporaryDirectory(prefix="unblur-") as folder:
        tuned, samples = _graph(cfg, student.eval(), Path(folder) / "model.onnx")
    again = _within_budget(cfg, tuned, samples, judge, say=say, track=track)
    return Quantized(
        {**found.graphs, **{kind: graph for kind, graph in again.graphs.items() if kind == "int8"}},
        {**found.costs, "int8": again.costs["int8"]},
        again.parts,
        again.floats,
        again.layers,
        again.samples,
        student,
    )


def _within_budget(
    cfg: PipelineConfig,
    original: onnx.ModelProto,
    found: Calibration,
    judge: Judge,
    *,
    say: Callable[[str], None],
    track: Track,
) -> Quantized:
    """Quantize a graph after training."""
    settings = cfg.quantize
    layers = quantizable(original, settings.ends)
    graphs, costs = {}, {}

    def accept(kind: str, graph: onnx.ModelProto) -> bool:
        costs[kind] = judge(graph)
        return costs[kind].within(settings.max_lost_db, settings.max_colour_shift)

    others = {
        "int8_weights": lambda: in_bytes(original, 1, layers),
        "fp16": lambda: halved(original),
    }
    for kind in settings.kinds:
        if kind in others and accept(kind, graph := others[kind]()):
            graphs[kind] = graph
    if "int8" not in settings.kinds:
        return Quantized(graphs, costs, [], [], (0, len(layers)), found.samples)
    everything = quantize(original, layers, found.inputs)
    parts = sensitivity(everything, original, layers, judge, track)
    kept = keep_budget(everything, original, layers, [each.part for each in parts], lambda graph: accept("int8", graph))
    floats: list[str] = []
    if kept is not None:
        graphs["int8"], floats = kept
        if floats:
            say(f"back to float to keep the budget: {', '.join(floats)}")
    quantized = 0 if kept is None else sum(part not in floats for part in layers.values())
    return Quantized(graphs, costs, parts, floats, (quantized, len(layers)), found.samples)


def _graph(cfg: PipelineConfig, network: nn.Module, file: Path) -> tuple[onnx.ModelProto, Calibration]:
    """Write the network's ONNX graph in float32; return it, and what it takes in for images of the training.

    That is for int8 arithmetic alone: weights have their ranges in themselves.
    """
    export_onnx(fold(network), file, cfg.export.opset)
    asked = "int8" in cfg.quantize.kinds
    return onnx.load(file), calibration(cfg, file, cfg.quantize.batches) if asked else Calibration((), ())
