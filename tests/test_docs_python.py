"""The lines of docs/python.md, run as they stand."""

import re
from pathlib import Path

import numpy as np
from PIL import Image

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


def test_the_ten_lines_run(box_onnx, tmp_path, make_photo, monkeypatch):
    (lines,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert sum(bool(line.strip()) for line in lines.splitlines()) == 10
    box_onnx(name="model.onnx")
    Image.fromarray(make_photo(80, 100)).save(tmp_path / "photo.jpg")
    for folder in ("holiday", "pairs/blur", "pairs/sharp"):
        (tmp_path / folder).mkdir(parents=True)
        Image.fromarray(make_photo(64, 80)).save(tmp_path / folder / "beach.png")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(lines, names)
    assert names["sharp"].shape == names["softly"].shape == (80, 100, 3)
    assert (names["sharp"].dtype, names["softly"].dtype) == (np.uint8, np.float32)
    assert names["faults"] == []
    assert {path.name for path in tmp_path.rglob("*.png")} >= {"sharper.png", "beach.png"}
    assert (tmp_path / "restored" / "beach.png").is_file()
    assert names["gain"] < 0  # a sharp picture, blurred by the model
