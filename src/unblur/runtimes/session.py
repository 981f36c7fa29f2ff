"""What runs a model's graph: arrays in, arrays out. One protocol over ONNX Runtime and OpenVINO (see `sessions`)."""

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

Shape = tuple[int | None, ...]


class SessionError(Exception):
    """A graph cannot be loaded or run; says why on one line."""

    def __init__(self, error: Exception) -> None:
        super().__init__(" ".join(str(error).split())[:200])


class Session(Protocol):
    """A loaded graph. `inputs` are its floats' and booleans' shapes by name, None for a free size; `notes` its remarks.

    `floats` tells whether every input but the booleans is float32.
    """

    inputs: Mapping[str, Shape]
    notes: Mapping[str, str]
    floats: bool

    def run(self, values: Mapping[str, NDArray[Any]], *, settled: bool = False) -> list[NDArray[Any]]:
        """Return the outputs, in the graph's order.

        Args:
            values: of the inputs, by name.
            settled: inputs of these sizes come many times, so it pays to prepare for them alone. In bfloat16 that
                rounds elsewhere.

        Raises:
            SessionError: the runtime cannot compute this.
            BrokenModelError: the runtime cannot compute anything with this graph.
        """
        ...
