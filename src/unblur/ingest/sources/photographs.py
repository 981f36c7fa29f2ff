"""Sharp photographs that lie in a folder with their list, SOURCES.json; a recipe makes their blur."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unblur.config.schema import CheckConfig, DataConfig
from unblur.errors import UnblurError
from unblur.ingest.sources.source import PairSource, Tracker, silent

if TYPE_CHECKING:
    from unblur.blur.recipe import Recipe
    from unblur.data.datasets import SharpCrops
    from unblur.data.manifest import PairRow, Source
    from unblur.ingest.check import DataReport


class Photographs(PairSource):
    """Sharp photographs and a recipe.

    Args:
        root: the folder of SOURCES.json.
    """

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root)

    @property
    def folder(self) -> Path:
        """The folder that its files are relative to."""
        return self._root

    def photographs(self, exclude: Sequence[str] = ()) -> "list[Source]":
        """Return the photographs of every split.

        Raises:
            UnblurError: their list is missing or broken.
        """
        from unblur.data.manifest import read_sources

        return [photo for photo in read_sources(self.folder) if photo.file not in exclude]

    def listed(self, exclude: Sequence[str] = ()) -> Counter[str]:
        """Return how many photographs each split has."""
        return Counter(photo.split for photo in self.photographs(exclude))

    def check(self, data: DataConfig, limits: CheckConfig, tracker: Tracker = silent) -> "DataReport":
        """Check every file below the folder against the list; see `PairSource`."""
        from unblur.ingest.check import check_data

        return check_data(self.folder, data.min_side, data.exclude, tracker("Checking pictures"), limits)

    def pairs(
        self,
        target: Path,
        data: DataConfig,
        limits: CheckConfig,
        *,
        recipe: "Recipe",
        tracker: Tracker = silent,
    ) -> "list[PairRow]":
        """Blur the photographs of `data.pairs_per_photo`, and write sources.csv too; see `PairSource`."""
        from unblur.data.manifest import write_source_index
        from unblur.data.pairs import prepare_pairs

        photos = self.photographs(data.exclude)
        rows = prepare_pairs(
            photos,
            self.folder,
            target,
            recipe=recipe,
            pairs_per_photo=data.pairs_per_photo,
            max_side=data.max_side,
            seed=data.pairs_seed,
            track=tracker("blurring"),
        )
        write_source_index(target, photos)
        return rows

    def crops(
        self,
        data: DataConfig,
        limits: CheckConfig,
        *,
        recipe: "Recipe",
        severity: Callable[[int], float],
        **cut: Any,  # noqa: ANN401 (see PairSource)
    ) -> "SharpCrops":
        """Return crops that the recipe blurs anew each time; see `PairSource`."""
        from unblur.data.datasets import SharpCrops

        if (makes := getattr(recipe, "kind", "image")) != data.task:
            fitting = "starter" if data.task == "image" else data.task
            msg = f"data.task is {data.task}, but the blur makes pairs for {makes}; set blur={fitting} (see conf/blur)"
            raise UnblurError(msg)
        training = [photo for photo in self.photographs(data.exclude) if photo.split == "train"]
        if not training:
            msg = f"{self.folder}: holds nothing of the training split; "
            msg += "run `unblur data starter`, or `unblur data import`"
            raise UnblurError(msg)
        return SharpCrops(training, self.folder, recipe=recipe, severity=severity, **cut)
