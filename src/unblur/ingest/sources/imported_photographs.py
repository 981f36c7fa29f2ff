"""Sharp photographs that stay where they lie, listed by `unblur data import`; a recipe makes their blur."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from unblur.errors import UnblurError
from unblur.ingest.sources.imported import ImportedSource
from unblur.ingest.sources.photographs import Photographs

if TYPE_CHECKING:
    from unblur.data.manifest import Source


class ImportedPhotographs(ImportedSource, Photographs):
    """The photographs of an imported dataset and a recipe; arguments are those of `ImportedSource`."""

    def photographs(self, exclude: Sequence[str] = ()) -> "list[Source]":
        """Return the photographs of every split.

        Raises:
            UnblurError: the manifest is missing or broken, or holds pairs.
        """
        dataset = self.dataset.without(exclude)
        if dataset.has_pairs:
            msg = f"{self.manifest}: lists blurred files too, where sharp photographs were expected; for pairs choose "
            raise UnblurError(msg + f"data=pairs data.source.manifest={self.manifest}")
        return dataset.sources()
