"""The HTML report: one self-contained page with the figures, plots and panels of one pass of the pipeline.

The page has no scripts and no outside address, and the same artifacts give the same bytes.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from PIL import Image

from unblur.evaluation.score_table import decimals, gains, guarded, mean_table, rank_pairs, unit
from unblur.evaluation.strata import describe_blur, strata
from unblur.records.parity import ParityRow
from unblur.records.scores import BLURRED, MODEL, Score
from unblur.records.training import Training
from unblur.reporting.artifacts import Artifacts, Explained, deployed_latency, gain_interval
from unblur.reporting.figure import DARK, LIGHT
from unblur.reporting.pareto import draw_pareto
from unblur.reporting.plots import draw_gains, draw_strength_bins, draw_training
from unblur.safety.atomic import replacing

NAMES = {
    BLURRED: "blurred input",
    "unsharp": "unsharp mask",
    "richardson_lucy": "Richardson-Lucy",
    "wiener": "Wiener filter",
    MODEL: "model",
}

NOTICEABLE = 0.2  # dB: a nearly sharp photograph that loses less looks the same

Cells = dict[str, Any]


def render_report(artifacts: Artifacts) -> str:
    """Return the page as one HTML document, images embedded as WebP."""
    template = files("unblur.reporting").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    main = artifacts.profiles[0]
    return environment.from_string(template).render(
        profiles=artifacts.profiles,
        main=main,
        unit=unit(main),
        pairs=artifacts.metrics.pairs,
        guarded=guarded(artifacts.scores, MODEL),
        run=artifacts.run,
        provenance=_provenance(artifacts.run),
        origin=_origin(artifacts.run),
        headline=_headline(artifacts),
        methods=_methods(artifacts),
        strata=_strata(artifacts),
        plots=_plots(artifacts),
        panels=_panels(artifacts),
        parity=[_parity_cells(row) for row in artifacts.parity],
        latency=artifacts.latency,
        parameters=f"{artifacts.complexity.parameters / 1e6:.2f}",
        gigamacs=f"{artifacts.complexity.macs_256 / 1e9:.2f}",
        data=artifacts.data,
        explained=_explained(artifacts.explained),
    )


def _parity_cells(row: ParityRow) -> Cells:
    shown = f"{row.figure:+.3f} dB" if row.unit else f"{row.figure:.1e}"
    return {**asdict(row), "shown": shown}


def _explained(found: Explained | None) -> Cells | None:
    """Return the cells of the section on explanations; None leaves it out."""
    if found is None:
        return None
    maps = [
        {
            **asdict(row),
            "deleted": f"{row.deletion:+.3f}",
            "inserted": f"{row.insertion:+.3f}",
            "rank": f"{row.rank_correlation:.2f}",
            "alike": "" if row.unchanged is None else f"{row.unchanged:.2f}",
        }
        for row in found.fidelity
    ]
    coverage = [
        {
            "stratum": row.stratum,
            "pairs": row.pairs,
            "scenes": row.scenes,
            "asked": f"{row.asked:.0%}",
            "reached": f"{row.reached:.1%}",
            "interval": f"{row.low:.0%} to {row.high:.0%}",
        }
        for row in found.coverage
    ]
    summary = found.summary
    shown = {
        "blur map by spectrum, rank correlation with the known strength": summary.blur_rank_by_spectrum,
        "blur map by correction, rank correlation with the known strength": summary.blur_rank_by_correction,
        "answers blurred again, distance from the inputs in steps of 255": summary.reblur_residual,
        "inputs blurred again, for comparison": summary.reblur_residual_unrestored,
    }
    if (filters := summary.filters) is not None:
        shown |= {
            f"gain without {filters.masked} of {filters.filters} filters that deblur, dB": filters.gain_without,
            "gain without as many others, dB": filters.gain_without_random,
            "gain of the whole network on the same crops, dB": filters.gain,
        }
    figures = [(name, f"{value:.2f}") for name, value in shown.items() if value is not None]
    return {"maps": maps, "coverage": coverage, "figures": figures}


def _provenance(run: Training) -> list[tuple[str, str]]:
    """What identifies the run; what it did not record is left out."""
    minutes = "" if run.seconds is None else f"({run.seconds / 60:.1f} min)"
    entries = [
        ("trained", " ".join(filter(None, [run.finished, minutes]))),
        ("steps", "" if run.steps is None else str(run.steps)),
        ("seed", "" if run.seed is None else str(run.seed)),
        ("git commit", run.git_sha + (" with uncommitted changes" if run.git_dirty == "true" else "")),
        ("data (MD5)", run.data_md5),
        ("configuration (SHA-256)", run.config_hash),
        ("weights (SHA-256)", run.model_sha256),
        ("MLflow run", run.run_id or ""),
    ]
    return [(name, value) for name, value in entries if value]


def _origin(run: Training) -> list[str]:
    """The same in one line under the title: the date, and the first digits of the hashes."""
    short = [
        ("trained", run.finished[:10]),
        ("commit", run.git_sha[:12]),
        ("data", run.data_md5[:12]),
        ("configuration", run.config_hash[:12]),
    ]
    return [f"{name} {value}" for name, value in short if value]


def _headline(artifacts: Artifacts) -> list[Cells]:
    """Return the four figures at the top, each with its name and what it is measured against."""
    main, table = artifacts.profiles[0], mean_table(artifacts.scores)
    digits, interval, row = decimals(main), gain_interval(artifacts), deployed_latency(artifacts)
    change = artifacts.metrics.nearly_sharp_change
    return [
        {
            "name": f"{main.split('/')[0].upper()} gain",
            "figure": f"{interval.mean:+.{digits}f}",
            "unit": unit(main),
            "note": f"95 % interval {interval.low:+.{digits}f} to {interval.high:+.{digits}f}",
            "harm": interval.mean < 0,
        },
        {
            "name": main,
            "figure": f"{table[MODEL][main]:.{digits}f}",
            "unit": unit(main),
            "note": f"blurred input {table[BLURRED][main]:.{digits}f}",
        },
        {
            "name": "nearly sharp inputs",
            "figure": "none" if change is None else f"{change:+.{digits}f}",
            "unit": "" if change is None else unit(main),
            "note": "mean change; below 0 is harm",
            "harm": change is not None and change < -NOTICEABLE,
        },
        {
            "name": f"latency at {row.width} x {row.height}",
            "figure": f"{row.median_ms:.0f}",
            "unit": "ms",
            "note": f"{row.variant}, {row.runtime}, {row.threads} thread{'' if row.threads == 1 else 's'}",
        },
    ]


def _methods(artifacts: Artifacts) -> list[Cells]:
    """Return the rows of the main table: mean of every profile, gain, size of the file and time a megapixel."""
    main, times = artifacts.profiles[0], artifacts.metrics.seconds_per_megapixel
    size = f"{deployed_latency(artifacts).file_mb:.2f} MB"
    rows = []
    for method, means in mean_table(artifacts.scores).items():
        differences = [score.value for score in gains(artifacts.scores, method, main)]
        nothing = method == BLURRED
        rows.append(
            {
                "method": method,
                "name": NAMES.get(method, method),
                "means": [f"{means[profile]:.{decimals(profile)}f}" for profile in artifacts.profiles],
                "gain": "" if nothing else f"{sum(differences) / len(differences):+.{decimals(main)}f}",
                "better": "" if nothing else f"{sum(value > 0 for value in differences)} of {len(differences)}",
                "size": size if method == MODEL else "",
                "time": "" if nothing else f"{times[method]:.2f} s",
            }
        )
    return rows


def _strata(artifacts: Artifacts) -> list[Cells]:
    """Return the rows of the table by blur; `bar` is the gain's share of the largest one in percent."""
    main = artifacts.profiles[0]
    found = strata(artifacts.scores, MODEL, main)
    digits, largest = decimals(main), max(abs(stratum.gain) for stratum in found) or 1.0
    return [
        {
            "by": stratum.by,
            "name": stratum.name,
            "before": f"{stratum.reference:.{digits}f}",
            "after": f"{stratum.value:.{digits}f}",
            "gain": f"{stratum.gain:+.{digits}f}",
            "better": f"{stratum.improved} of {stratum.pairs}",
            "bar": round(100 * abs(stratum.gain) / largest),
            "harm": stratum.gain < 0,
        }
        for stratum in found
    ]


def _plots(artifacts: Artifacts) -> dict[str, Cells]:
    """Return the drawings as {name: {light, dark, width, height, alt}}; without a training curve one less."""
    scores, main = artifacts.scores, artifacts.profiles[0]
    bins = [stratum for stratum in strata(scores, MODEL, main) if stratum.by == "strength"]
    told = ", ".join(f"{stratum.name} {stratum.gain:+.{decimals(main)}f} {unit(main)}".strip() for stratum in bins)
    differences = [score.value for score in gains(scores, MODEL, main)]
    spread = f"from {min(differences):+.{decimals(main)}f} to {max(differences):+.{decimals(main)}f} {unit(main)}"
    plots = {
        "strength": (
            f"Bars: mean gain of each method by strength of the blur. The model: {told}.",
            [draw_strength_bins(scores, main, unit(main), theme) for theme in (LIGHT, DARK)],
        ),
        "per_image": (
            f"One dot for each of {len(differences)} pairs: the model's gain against the blurred input, {spread}.",
            [draw_gains(scores, main, unit(main), theme) for theme in (LIGHT, DARK)],
        ),
    }
    shown = deployed_latency(artifacts)
    plots["pareto"] = (
        "One point for each model and runtime: PSNR against latency. "
        f"Deployed: {shown.variant}, {shown.runtime}, {shown.median_ms} ms.",
        [draw_pareto(artifacts.latency, theme) for theme in (LIGHT, DARK)],
    )
    if artifacts.history:
        last = artifacts.history[-1]
        plots["training"] = (
            f"Lines: validation PSNR and training loss over {last.step} steps.",
            [draw_training(artifacts.history, theme) for theme in (LIGHT, DARK)],
        )
    return {name: {"alt": alt, **_pair_of_images(drawings)} for name, (alt, drawings) in plots.items()}


def _panels(artifacts: Artifacts) -> list[Cells]:
    """Return the panels, the largest gain first, each with a caption and a description in words."""
    main = artifacts.profiles[0]
    value = {(score.pair, score.method): score for score in artifacts.scores if score.profile == main}
    by_name = {path.stem: path for path in artifacts.panels}
    return [
        {**_panel_text(value[pair, BLURRED], value[pair, MODEL]), **_embed(Image.open(by_name[pair]), quality=86)}
        for pair in rank_pairs(artifacts.scores, main)
        if pair in by_name
    ]


def _panel_text(before: Score, after: Score) -> Cells:
    digits, name = decimals(after.profile), unit(after.profile)
    figures = f"{before.value:.{digits}f} to {after.value:.{digits}f} {name}".strip()
    gain = f"{after.value - before.value:+.{digits}f}"
    blur = describe_blur(after.kind, after.strength)
    return {
        "pair": after.pair,
        "caption": f"{blur}: {figures} ({gain})",
        "alt": f"{after.pair}, {blur}: the blurred input, the model's output and the truth side by side, above the "
        f"detail that the model changed most, enlarged. {after.profile} {figures}, a gain of {gain}.",
    }


def _pair_of_images(drawings: Sequence[bytes]) -> Cells:
    light, dark = (_embed(Image.open(io.BytesIO(drawing)), quality=None) for drawing in drawings)
    return {**light, "dark": dark["data"]}


def _embed(image: Image.Image, quality: int | None) -> Cells:
    """Return {data, width, height}: the picture as a WebP data URI, lossless without a `quality`."""
    stream = io.BytesIO()
    image.save(stream, format="WEBP", lossless=quality is None, quality=quality or 80, method=4)
    data = "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
    return {"data": data, "width": image.width, "height": image.height}


def write_report(path: Path, artifacts: Artifacts) -> None:
    """Write the page, whole or not at all."""
    page = render_report(artifacts)
    with replacing(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
