"""What the sources of imported datasets share: files that stay where they lie, listed by `unblur data import`."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.config.schema import CheckConfig, DataConfig
from unblur.ingest.imported import Imported, read_imported
from unblur.ingest.sources.source import PairSource, Tracker, silent

if TYPE_CHECKING:
    from unblur.ingest.check import DataReport


class ImportedSource(PairSource):
    """A manifest and the files that it lists.

    Args:
        manifest: NAME.csv, which `unblur data import` wrote.
        root: where the files are on this machine; None is where they were imported from.
    """

    def __init__(self, manifest: str, root: str | None = None) -> None:
        self.manifest = manifest
        self._where = root

    @cached_property
    def dataset(self) -> Imported:
        """What the manifest lists.

        Raises:
            UnblurError: it is missing or broken, or its folder is.
        """
        return read_imported(Path(str(self.manifest)), Path(self._where) if self._where else None)

    @property
    def folder(self) -> Path:
        """The folder that its files are relative to."""
        return self.dataset.root

    def check(self, data: DataConfig, limits: CheckConfig, tracker: Tracker = silent) -> "DataReport":
        """Check every file that is listed, and no other; see `PairSource`."""
        from unblur.ingest.check_pairs import check_imported

        return check_imported(self.dataset.without(data.exclude), limits, data.min_side, tracker("Checking pairs"))
