"""What a graph is calibrated with: its inputs for blurred images of the training, for video with the state between."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from unblur.config.schema import PipelineConfig
from unblur.runtimes.graph import GraphRestorer, GraphStream
from unblur.runtimes.graph_file import read_graph
from unblur.runtimes.session import Session
from unblur.runtimes.sessions import open_session

Inputs = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Calibration:
    """The inputs of a graph, and the samples (photo#index) that they came from."""

    inputs: Sequence[Inputs]
    samples: Sequence[str]


def calibration(cfg: PipelineConfig, graph: Path, count: int) -> Calibration:
    """Return what the graph takes in for the first `count` batches that a training with this seed would see.

    Args:
        cfg: of the training.
        graph: an .onnx file of `unblur.export.onnx`.
        count: of batches.
    """
    from unblur.training.datamodule import restoration_data

    recorder = Recorder(open_session(read_graph(graph), graph.name, runtime="onnxruntime", threads=1))
    kind = GraphStream if "hidden" in recorder.inputs else GraphRestorer
    restorer = kind(recorder, graph.name, "")
    samples: list[str] = []
    for batch in itertools.islice(restoration_data(cfg).train_dataloader(), count):
        restorer(batch["blur"].numpy())
        samples += batch["key"]
    return Calibration(recorder.seen, samples)


class Recorder:
    """A session that keeps what it was given."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.inputs, self.notes, self.floats = session.inputs, session.notes, session.floats
        self.seen: list[Inputs] = []

    def run(self, values: Mapping[str, NDArray[Any]], *, settled: bool = False) -> list[NDArray[Any]]:
        """Run the graph."""
        self.seen.append(dict(values))
        return self._session.run(values, settled=settled)
