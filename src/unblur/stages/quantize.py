"""`unblur quantize`: the trained and the pruned network in fewer bits, each within its budget or not at all."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unblur.config.descent import require_descent, write_lineage
from unblur.config.entry import stage
from unblur.config.schema import PipelineConfig
from unblur.console import console, say_training, show_table, tracker, what_next
from unblur.safety.owned import owned_folder

if TYPE_CHECKING:
    from unblur.compression.post_training import Quantized


@stage
def main(cfg: PipelineConfig) -> None:
    """Write NAME/model.onnx in float32, NAME_KIND/model.onnx, costs of parts, quantize.json to artifacts/quantize."""
    from unblur.compression.post_training import quantize_network
    from unblur.export.variants import float_models
    from unblur.safety.atomic import replacing
    from unblur.safety.hashing import write_listing
    from unblur.training.weights import load_model

    say_training()
    require_descent(cfg.paths, "quantize")
    folder = Path(cfg.paths.quantize)
    record: dict[str, Any] = {}
    rows = []
    with owned_folder(folder, "quantize", {"seed": cfg.seed, **asdict(cfg.quantize)}) as new:
        write_lineage(cfg.paths, "quantize", new)
        for model in float_models(cfg.paths):
            track = tracker(f"{model.name}: cost of each part")
            exported = new / model.name / "model.onnx"
            network = load_model(model.source)
            found = quantize_network(cfg, network, model.name, exported, say=console.print, track=track)
            write_listing([exported], exported.parent)
            record[model.name] = write_quantized(found, model.name, model.source, new)
            rows += [
                [
                    f"{model.name} {kind}",
                    f"{cost.lost_db:+.4f}",
                    f"{cost.colour_shift:.3f}",
                    f"{found.layers[0]} of {found.layers[1]}" if kind == "int8" else "",
                    "yes" if kind in found.graphs else "REFUSED",
                ]
                for kind, cost in found.costs.items()
            ]
        with replacing(new / "quantize.json") as unfinished:
            content = {"models": record, "seed": cfg.seed, **asdict(cfg.quantize)}
            unfinished.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    limits = f"{cfg.quantize.max_lost_db:g} dB and a colour shift of {cfg.quantize.max_colour_shift:g} of 255"
    show_table(
        f"Quantized, on {cfg.quantize.pairs} validation pairs; allowed: {limits}",
        ["", "dB lost", "colour shift", "layers in int8", "kept"],
        rows,
    )
    measured = [f"{folder}/*_sensitivity.png: which parts of the network eight bits hurt"]
    what_next(
        *(measured if any(folder.glob("*_sensitivity.png")) else ()),
        "unblur export     write every model in every format; unblur benchmark says which is deployed",
        "unblur quantize quantize.max_lost_db=0.02     more parts stay in float",
    )


def write_quantized(found: "Quantized", name: str, source: Path, folder: Path) -> dict[str, Any]:
    """Write one network's graphs, the table and the plot of its parts, and return what is told about them."""
    import onnx

    from unblur.reporting.sensitivity import draw_sensitivity, write_sensitivity
    from unblur.safety.atomic import replacing
    from unblur.safety.hashing import write_listing
    from unblur.training.weights import read_model_config, save_model

    for kind, graph in found.graphs.items():
        with replacing(folder / f"{name}_{kind}" / "model.onnx") as unfinished:
            onnx.save(graph, unfinished)
        write_listing([folder / f"{name}_{kind}" / "model.onnx"], folder / f"{name}_{kind}")
    if found.trained is not None:
        save_model(found.trained, read_model_config(source), folder / f"{name}_trained_for_int8")
    if found.parts:
        write_sensitivity(found.parts, folder / f"{name}_sensitivity.csv")
        with replacing(folder / f"{name}_sensitivity.png") as unfinished:
            unfinished.write_bytes(draw_sensitivity(found.parts))
    return {
        "costs": {kind: asdict(cost) for kind, cost in found.costs.items()},
        "kept": sorted(found.graphs),
        "layers_int8": found.layers[0],
        "layers": found.layers[1],
        "parts_in_float": found.floats,
        "trained_for_int8": found.trained is not None,
        "calibration": list(found.samples),
    }


if __name__ == "__main__":
    main()
