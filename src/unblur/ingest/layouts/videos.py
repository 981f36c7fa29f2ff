"""A folder of sharp videos at a high frame rate: listed here, averaged to blur elsewhere."""

from collections.abc import Iterator
from pathlib import Path

from unblur.ingest.layouts.layout import Layout, LayoutEntry
from unblur.ingest.layouts.photos import split_folders

VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v")


def entries(root: Path) -> Iterator[LayoutEntry]:
    """Yield the video files, each a scene of its own."""
    for base, split in split_folders(root):
        for path in sorted(base.rglob("*")):
            if path.suffix.lower() in VIDEOS and not path.name.startswith("."):
                yield LayoutEntry(
                    None, path.relative_to(root), split, path.relative_to(base).with_suffix("").as_posix()
                )


VIDEO_FILES = Layout(
    "videos", "a folder of sharp videos", "[{train,val,test}/]NAME.mp4 (or mov, avi, mkv)", "video", entries
)
