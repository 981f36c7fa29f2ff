"""`unblur evaluate`: the trained network and the classical baselines, scored on the fixed test pairs."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.config.descent import require_descent, write_lineage
from unblur.config.entry import stage
from unblur.config.schema import PipelineConfig
from unblur.errors import UnblurError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from unblur.evaluation.strata import Stratum
    from unblur.records.scores import Evaluation, Score


MAX_WORKERS = 4  # pairs at once: each holds the network's activations of a whole image


@stage
def main(cfg: PipelineConfig) -> None:
    """Write the per-image table, its means and strata, panels and plot data; show the means."""
    import torch

    from unblur.console import tracker, what_next
    from unblur.data.manifest import read_manifest
    from unblur.data.pictures import check_task
    from unblur.evaluation.answers import ANSWERS, write_answer
    from unblur.evaluation.baselines import get_baselines
    from unblur.evaluation.panels import choose_pairs, write_panels
    from unblur.evaluation.score import Stopwatch, framewise, score
    from unblur.evaluation.strata import strata
    from unblur.records.scores import FRAMES, MODEL, SCORES, write_evaluation, write_scores
    from unblur.records.training import HISTORY, read_history, write_history
    from unblur.reporting.plot_data import write_strength_bins, write_strength_gain
    from unblur.runtimes.pytorch import TorchRestorer
    from unblur.safety.owned import owned_folder

    prepared, train, out = Path(cfg.paths.prepared), Path(cfg.paths.train), Path(cfg.paths.evaluate)
    if not cfg.evaluate.profiles:
        msg = "evaluate.profiles is empty; name at least one metric profile, such as psnr/literature"
        raise UnblurError(msg)
    main_profile = cfg.evaluate.profiles[0]
    rows = [row for row in read_manifest(prepared) if row.split == "test"]
    if not rows:
        msg = f"{prepared} has no pairs of the split 'test'; make them with `unblur prepare`"
        raise UnblurError(msg)
    baselines = get_baselines(cfg.evaluate.baselines)
    require_descent(cfg.paths, "evaluate")
    restorer = TorchRestorer(train / "model")
    check_task(rows, prepared, restorer.task)

    with owned_folder(out, "evaluate", asdict(cfg.evaluate)) as new:
        write_lineage(cfg.paths, "evaluate", new)
        watches = {name: Stopwatch(framewise(restore)) for name, restore in baselines.items()} | {
            MODEL: Stopwatch(restorer)
        }
        workers = min(MAX_WORKERS, torch.get_num_threads())
        scores: list[Score] = []
        per_frame: list[Score] = []
        for name, watch in watches.items():
            track = tracker(f"scoring {name}")
            scores += score(
                name,
                watch,
                rows,
                prepared,
                cfg.evaluate.profiles,
                track=track,
                workers=workers,
                per_frame=per_frame,
                keep=partial(write_answer, new / ANSWERS) if name == MODEL else None,
            )
        found = strata(scores, MODEL, main_profile)

        write_scores(new / SCORES, scores)
        if per_frame:
            write_scores(new / FRAMES, per_frame)
        chosen = choose_pairs(scores, main_profile, cfg.evaluate.panels)
        panel_rows = [next(row for row in rows if row.pair == pair) for pair in chosen]
        write_panels(new / "panels", panel_rows, prepared, restorer, scores=scores, profile=main_profile)
        write_strength_gain(new / "plots" / "strength_gain.csv", scores, main_profile)
        write_strength_bins(new / "plots" / "strength_bins.csv", scores, main_profile)
        write_history(new / "plots" / "training.csv", read_history(train / HISTORY))
        times = {name: watch.seconds_per_megapixel for name, watch in watches.items()}
        write_evaluation(_means(scores, found, main_profile, times, restorer.sha256), new)

    _show(scores, found, cfg.evaluate.profiles, times)
    what_next(
        f"{out / 'panels'}     best to worst, before and after",
        f"{out / SCORES}     every figure",
        "unblur prune, unblur quantize, unblur export     smaller and faster, and as files for other runtimes",
    )


def _means(
    scores: "Sequence[Score]",
    found: "Sequence[Stratum]",
    profile: str,
    times: "Mapping[str, float]",
    model_sha256: str,
) -> "Evaluation":
    from unblur.evaluation.score_table import guarded, mean_table
    from unblur.evaluation.strata import as_nested, nearly_sharp_change
    from unblur.records.scores import BLURRED, MODEL, Evaluation

    means = mean_table(scores)
    return Evaluation(
        profile=profile,
        pairs=len({score.pair for score in scores}),
        model_sha256=model_sha256,
        test=means,
        gain={name: means[MODEL][name] - means[BLURRED][name] for name in means[MODEL]},
        strata=as_nested(found),
        nearly_sharp_change=nearly_sharp_change(found),
        guarded=guarded(scores, MODEL),
        seconds_per_megapixel=dict(times),
    )


def _show(
    scores: "Sequence[Score]", found: "Sequence[Stratum]", profiles: "Sequence[str]", times: "Mapping[str, float]"
) -> None:
    from unblur.console import console, show_table
    from unblur.evaluation.score_table import decimals, guarded, mean_table
    from unblur.records.scores import MODEL

    means_of = mean_table(scores)
    names = [*profiles, *(name for name in next(iter(means_of.values())) if name not in profiles)]
    table = [
        [method, *(f"{means[name]:.{decimals(name)}f}" for name in names), f"{times[method]:.2f}"]
        for method, means in means_of.items()
    ]
    show_table("Mean over the test pairs", ["method", *(name.replace("/", "/\n") for name in names), "s/Mpx"], table)
    console.print(f"places that the guard would put back to the input: {guarded(scores, MODEL)}", highlight=False)
    digits = decimals(profiles[0])
    rows = [
        [
            f"{stratum.by}: {stratum.name}",
            *(f"{figure:.{digits}f}" for figure in (stratum.reference, stratum.value)),
            f"{stratum.gain:+.{digits}f}",
            f"{stratum.improved}/{stratum.pairs}",
        ]
        for stratum in found
    ]
    show_table(f"Gain by blur, {profiles[0]}", ["blur", "blurred", "model", "gain", "better"], rows)


if __name__ == "__main__":
    main()
