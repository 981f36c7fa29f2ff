import io

import numpy as np
from PIL import Image

from unblur.records.training import read_history
from unblur.reporting.figure import DARK, LIGHT
from unblur.reporting.plots import draw_gains, draw_strength_bins, draw_training

MAIN = "psnr/literature"
HISTORY = "step,train_loss,val_psnr\n50,0.05,\n100,0.04,26.5\n150,0.035,27.25\n"


def test_drawings_are_transparent_and_follow_the_theme(tmp_path, make_scores):
    (tmp_path / "history.csv").write_text(HISTORY)
    history = read_history(tmp_path / "history.csv")
    for draw in (
        lambda theme: draw_strength_bins(make_scores(), MAIN, "dB", theme),
        lambda theme: draw_gains(make_scores(), MAIN, "dB", theme),
        lambda theme: draw_training(history, theme),
    ):
        for theme, other in ((LIGHT, DARK), (DARK, LIGHT)):
            pixels = np.asarray(Image.open(io.BytesIO(draw(theme))).convert("RGBA"))
            assert pixels[0, 0, 3] == 0
            for colour in (theme.ink, theme.grid):
                assert (pixels == (*bytes.fromhex(colour[1:]), 255)).all(axis=2).sum() > 50
            assert not (pixels == (*bytes.fromhex(other.ink[1:]), 255)).all(axis=2).any()
