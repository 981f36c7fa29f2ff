"""What `unblur data average` makes of videos: a shot is a sequence, a video is in one split."""

from collections.abc import Iterator
from pathlib import Path

from unblur.data.manifest import FRAME_AVERAGE, read_rows
from unblur.errors import UnblurError
from unblur.ingest.layouts.layout import Layout, LayoutEntry
from unblur.safety.paths import inside


def entries(root: Path) -> Iterator[LayoutEntry]:
    """Yield the pairs of manifest.csv shot by shot: two shots are two scenes, so no sequence reaches across a cut."""
    manifest = root / "manifest.csv"
    if not manifest.is_file():
        return
    for row in read_rows(manifest, "run `unblur data average` again"):
        if row.kind != FRAME_AVERAGE:
            continue
        for file in (row.blur, row.sharp):
            inside(root, file)
        try:
            shot, first, frames = (int(row.parameters[name]) for name in ("shot", "first_frame", "frames"))
        except (KeyError, TypeError, ValueError) as error:
            msg = f"{manifest}: pair {row.pair} does not tell its shot and frames; run `unblur data average` again"
            raise UnblurError(msg) from error
        scene = f"{row.scene}/shot{shot}"
        yield LayoutEntry(
            Path(row.blur), Path(row.sharp), row.split, scene, first + frames // 2, row.scene, row.strength
        )


AVERAGED = Layout(
    "averaged",
    "what `unblur data average` has made of videos",
    "manifest.csv and {train,val,test}/{blur,sharp}/VIDEO/NNNNNN.png",
    "video",
    entries,
)
