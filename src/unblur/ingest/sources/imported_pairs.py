"""Blurred and sharp pictures that stay where they lie, listed by `unblur data import`: images, videos or bursts."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unblur.config.schema import CheckConfig, DataConfig
from unblur.errors import UnblurError
from unblur.ingest.imported import Imported
from unblur.ingest.sources.imported import ImportedSource
from unblur.ingest.sources.source import Tracker, silent

if TYPE_CHECKING:
    from unblur.blur.recipe import Recipe
    from unblur.data.manifest import PairRow
    from unblur.data.paired_crops import PairedCrops


class ImportedPairs(ImportedSource):
    """The pairs of an imported dataset; arguments are those of `ImportedSource`.

    Those of validation and test are copied, those of training read where they lie.
    """

    def listed(self, exclude: Sequence[str] = ()) -> Counter[str]:
        """Return how many pairs each split has."""
        return Counter(row.split for row in self.dataset.without(exclude).rows)

    def pairs(
        self,
        target: Path,
        data: DataConfig,
        limits: CheckConfig,
        *,
        recipe: "Recipe",
        tracker: Tracker = silent,
    ) -> "list[PairRow]":
        """Copy the pairs, or sequences where `data.task` says so; see `PairSource`."""
        from unblur.ingest.imported_pairs import bring_pairs, bring_sequences

        dataset = self._paired(data.exclude)
        how: dict[str, Any] = {"max_side": data.max_side, "max_pairs": data.max_pairs, "limits": limits}
        how["track"] = tracker("copying pairs")
        if data.task == "image":
            return bring_pairs(dataset, target, **how)
        return bring_sequences(dataset, target, task=data.task, frames=data.frames, **how)

    def crops(
        self,
        data: DataConfig,
        limits: CheckConfig,
        *,
        recipe: "Recipe",
        severity: Callable[[int], float],
        **cut: Any,  # noqa: ANN401 (see PairSource)
    ) -> "PairedCrops":
        """Return crops of pairs, or of `data.frames` neighbouring ones; see `PairSource`."""
        from unblur.data.paired_crops import PairedCrops

        training = [row for row in self._paired(data.exclude).rows if row.split == "train" and row.blur]
        if not training:
            msg = f"{self.folder}: holds nothing of the training split; give `unblur data import` more scenes"
            raise UnblurError(msg)
        return PairedCrops(training, self.folder, frames=data.frames, burst=data.task == "burst", limits=limits, **cut)

    def _paired(self, exclude: Sequence[str]) -> Imported:
        dataset = self.dataset.without(exclude)
        if not dataset.has_pairs:
            msg = f"{self.manifest}: lists no blurred file, where pairs were expected; for sharp photographs choose "
            raise UnblurError(msg + f"data=photos data.source.manifest={self.manifest}")
        return dataset
