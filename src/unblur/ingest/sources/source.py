"""Where pairs come from: what the stages ask of a source, whichever class `data.source` names."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unblur.config.schema import CheckConfig, DataConfig

if TYPE_CHECKING:
    from unblur.blur.recipe import Recipe
    from unblur.data.datasets import SharpCrops
    from unblur.data.manifest import PairRow
    from unblur.data.paired_crops import PairedCrops
    from unblur.ingest.check import DataReport

Track = Callable[[Sequence[Any]], Iterable[Any]]
Tracker = Callable[[str], Track]


def silent(_: str) -> Track:
    """Pass items on and show nothing."""
    return iter


class PairSource(ABC):
    """A source of pairs: photographs that a recipe blurs, or pairs that exist.

    Its three methods are what the stages check_data, prepare and train call; `pipeline/code.py` takes for the code of
    a stage only what its method imports.

    Attributes:
        manifest: of an imported dataset, None of photographs that SOURCES.json lists.
    """

    manifest: str | None = None

    @property
    @abstractmethod
    def folder(self) -> Path:
        """The folder that its files are relative to."""

    @abstractmethod
    def listed(self, exclude: Sequence[str] = ()) -> Counter[str]:
        """Return how many photographs or pairs each split has, without the files to exclude."""

    @abstractmethod
    def check(self, data: DataConfig, limits: CheckConfig, tracker: Tracker = silent) -> "DataReport":
        """Return what would poison training.

        Args:
            data: min_side and exclude are read.
            limits: from where on to report.
            tracker: makes a progress bar of a label.
        """

    @abstractmethod
    def pairs(
        self, target: Path, data: DataConfig, limits: CheckConfig, *, recipe: "Recipe", tracker: Tracker = silent
    ) -> "list[PairRow]":
        """Write the validation and test pairs and manifest.csv into `target`, and return its rows.

        Args:
            target: a new folder.
            data: task, frames, which files, how many pairs of which size, and the pairs' seed.
            limits: from where on a pair counts as turned.
            recipe: the blur of photographs; pairs that exist have theirs.
            tracker: makes a progress bar of a label.

        Raises:
            UnblurError: a file cannot be read, or there are no such pairs.
        """

    @abstractmethod
    def crops(
        self,
        data: DataConfig,
        limits: CheckConfig,
        *,
        recipe: "Recipe",
        severity: Callable[[int], float],
        **cut: Any,  # noqa: ANN401 (it is what both datasets take)
    ) -> "SharpCrops | PairedCrops":
        """Return crops of the training split.

        Args:
            data: task, frames and exclude are read.
            limits: from where on a pair counts as turned.
            recipe: the blur of photographs.
            severity: of crop i, in [0, 1].
            cut: augment, patch_size, length and seed, as `SharpCrops` and `PairedCrops` take them.

        Raises:
            UnblurError: there are none, or the blur does not make what `data.task` asks for.
        """

    def inputs(self) -> list[Path]:
        """Return what is read: no output may be written there."""
        return [self.folder, *([Path(self.manifest)] if self.manifest else [])]
