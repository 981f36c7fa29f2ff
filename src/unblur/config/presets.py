"""Which presets of conf/ fit."""

import yaml

from unblur.config.compose import config_dir
from unblur.config.instantiate import resolve_target


def network_for(task: str) -> str:
    """Return the override, with a space after it, that chooses a small network for a task; empty where none is needed.

    Args:
        task: image, for which the default will do, burst or video.
    """
    for preset in sorted((config_dir() / "model").glob("*_small.yaml")) if task != "image" else []:
        target = yaml.safe_load(preset.read_text(encoding="utf-8"))["_target_"]
        if getattr(resolve_target(target), "task", "image") == task:
            return f"model={preset.stem} "
    return ""
