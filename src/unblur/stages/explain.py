"""`unblur explain-pairs`: bounds on errors from the validation pairs, and explanations of a few test pairs."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.config.descent import require_descent, write_lineage
from unblur.config.entry import stage
from unblur.config.schema import ExplainConfig, PipelineConfig
from unblur.errors import UnblurError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unblur.data.manifest import PairRow
    from unblur.explaining.pairs import Pair
    from unblur.records.explanation import Coverage, ExplainSummary, Filters, PairFidelity
    from unblur.runtimes.pytorch import TorchRestorer

CROP, LEARNED = 128, 4  # pixels of a side, and pairs, that the filters are looked for on


@stage
def main(cfg: PipelineConfig) -> None:
    """Calibrate, measure coverage and blur maps on the test pairs, explain a few of each stratum; show the figures."""
    from unblur.config.extras import told

    with told():
        from unblur.blur.recipe import BlurRecipe
        from unblur.config.instantiate import instantiate
        from unblur.console import tracker, what_next
        from unblur.data.manifest import read_manifest
        from unblur.data.pictures import check_task
        from unblur.evaluation.answers import ANSWERS
        from unblur.explaining.pairs import (
            answered,
            blur_ranks,
            calibrated,
            covered,
            nearly_sharp,
            of_each_stratum,
            read_answered,
            reblur_residuals,
        )
        from unblur.explaining.photo import Asked, explain_frames
        from unblur.records.explanation import COVERAGE, FIDELITY, Coverage, ExplainSummary, PairFidelity
        from unblur.records.files import write_json, write_table
        from unblur.runtimes.pytorch import TorchRestorer
        from unblur.safety.owned import owned_folder

    _check(cfg.explain)
    prepared, out = Path(cfg.paths.prepared), Path(cfg.paths.explain)
    rows = read_manifest(prepared)
    require_descent(cfg.paths, "explain")
    restorer = TorchRestorer(Path(cfg.paths.train) / "model")
    check_task(rows, prepared, restorer.task)
    by_split = _by_split(rows, prepared)

    with owned_folder(out, "explain-pairs", asdict(cfg.explain)) as new:
        write_lineage(cfg.paths, "explain", new)
        val = answered(restorer, by_split["val"], prepared, tracker("val"))
        test = read_answered(Path(cfg.paths.evaluate) / ANSWERS, by_split["test"], prepared)
        recipe = instantiate(cfg.blur)
        if isinstance(recipe, BlurRecipe):
            val += nearly_sharp(restorer, val, recipe, tracker("nearly sharp"))
        calibration = calibrated(val, restorer.sha256, cfg.explain.level)
        coverage = covered(calibration, test)
        residuals = reblur_residuals(test, recipe.apply, getattr(recipe, "operators", ()))
        filters = _filters(cfg, restorer, val, test)
        table: list[PairFidelity] = []
        explained = of_each_stratum(test, cfg.explain.pairs)
        for pair in explained:
            asked = Asked(size=cfg.explain.size, methods=tuple(cfg.explain.maps), reference=pair.reference)
            name, after = pair.row.pair, pair.after
            explanation = explain_frames(
                restorer, pair.frames, name, asked, calibration=calibration, track=tracker(name), after=after
            )
            explanation.write(new / name)
            table += [PairFidelity(**asdict(row), pair=name, stratum=pair.stratum) for row in explanation.fidelity]
        by_spectrum, by_correction = blur_ranks(test)
        pages = tuple(pair.row.pair for pair in explained)
        summary = ExplainSummary(restorer.sha256, len(test), by_spectrum, by_correction, *residuals, filters, pages)
        write_json(new / "calibration.json", calibration)
        write_json(new / "summary.json", summary)
        write_table(new / COVERAGE, Coverage, coverage)
        write_table(new / FIDELITY, PairFidelity, table)
    _show(summary, coverage, table)
    what_next(f"open {out / pages[0] / 'index.html'}     one page a pair", "unblur report")


def _check(asked: ExplainConfig) -> None:
    """Refuse what could not be shown, before anything is computed."""
    from unblur.explaining.methods import check_names

    if asked.pairs < 1:
        msg = f"explain.pairs={asked.pairs}: expected 1 or more"
        raise UsageError(msg)
    check_names(asked.maps)


def _by_split(rows: "Sequence[PairRow]", prepared: Path) -> "dict[str, list[PairRow]]":
    by_split = {split: [row for row in rows if row.split == split] for split in ("val", "test")}
    for split, found in by_split.items():
        if not found:
            msg = f"{prepared} has no pairs of the split {split!r}; make them with `unblur prepare`"
            raise UnblurError(msg)
    return by_split


def _filters(
    cfg: PipelineConfig, restorer: "TorchRestorer", val: "Sequence[Pair]", test: "Sequence[Pair]"
) -> "Filters | None":
    """Return the filters that deblur, found on validation pairs and measured on test pairs."""
    from unblur.evaluation.strata import NEARLY_SHARP
    from unblur.explaining.filters import filters_that_deblur
    from unblur.explaining.pairs import examples

    if restorer.task != "image":
        return None
    blurred, others = ([pair for pair in pairs if pair.stratum != NEARLY_SHARP] for pairs in (val, test))
    sharp = [pair for pair in test if pair.stratum == NEARLY_SHARP]
    if not blurred or not others:
        return None
    network = restorer.network.cpu().requires_grad_(False)
    learned, measured, left = (
        examples(each[:: max(len(each) // LEARNED, 1)], CROP) for each in (blurred, others, sharp)
    )
    return filters_that_deblur(network, learned, measured, left, seed=cfg.seed)


def _show(summary: "ExplainSummary", coverage: "Sequence[Coverage]", table: "Sequence[PairFidelity]") -> None:
    from unblur.console import show_table
    from unblur.explaining.methods import METHODS

    rows = [
        [
            each.stratum,
            str(each.pairs),
            str(each.scenes),
            f"{each.asked:.0%}",
            f"{each.reached:.1%}",
            f"{each.low:.0%} to {each.high:.0%}",
        ]
        for each in coverage
    ]
    columns = ["pairs", "count", "scenes", "asked", "reached", "95 % by scene"]
    show_table("Bounds on errors: pixels below them", columns, rows)
    show_table(
        "Maps",
        ["map", "pair", "deletion", "insertion", "rank", "shuffled", "verdict"],
        [
            [
                METHODS[row.map].title,
                row.pair,
                f"{row.deletion:+.3f}",
                f"{row.insertion:+.3f}",
                f"{row.rank_correlation:.2f}",
                "-" if row.unchanged is None else f"{row.unchanged:.2f}",
                row.failed or "passed",
            ]
            for row in table
        ],
        texts=2,
    )
    shown = {
        "blur by spectrum, rank correlation with the known strength": summary.blur_rank_by_spectrum,
        "blur by correction, rank correlation with the known strength": summary.blur_rank_by_correction,
        "reblur residual of the answers, steps of 255": summary.reblur_residual,
        "the same of the inputs themselves": summary.reblur_residual_unrestored,
    }
    if summary.filters is not None:
        shown |= {
            "gain of the network, dB": summary.filters.gain,
            f"gain without {summary.filters.masked} of {summary.filters.filters} filters": summary.filters.gain_without,
            "gain without as many at random": summary.filters.gain_without_random,
        }
    figures = [[name, f"{value:.3f}"] for name, value in shown.items() if value is not None]
    show_table("What the pairs tell", ["", "value"], figures)


if __name__ == "__main__":
    main()
