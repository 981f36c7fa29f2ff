"""`unblur export`: every model as ONNX, OpenVINO and torch.export files, each compared with its PyTorch network."""

import time
from dataclasses import asdict
from pathlib import Path

from unblur.config.descent import require_descent, write_lineage
from unblur.config.entry import stage
from unblur.config.schema import PipelineConfig
from unblur.console import console, show_table, tracker, what_next
from unblur.safety.owned import owned_folder

_EXAMPLES = {"image": "PHOTO OUT", "burst": "--burst SHOTS/ OUT.png", "video": "CLIP.mp4 OUT.mp4"}


@stage
def main(cfg: PipelineConfig) -> None:
    """Export the trained network and what was made of it, each into a folder of its name; write parity.csv."""
    from unblur.evaluation.fixed_pairs import read_pairs
    from unblur.export.formats import check_formats, export_model
    from unblur.export.openvino import convert_onnx
    from unblur.export.parity import check_budget, check_parity, require_parity, shown
    from unblur.export.variants import all_models
    from unblur.networks.description import describe
    from unblur.records.parity import write_parity
    from unblur.safety.hashing import read_listed, write_listing
    from unblur.training.weights import load_model

    task = "image"
    check_formats(cfg.export.formats)
    models = all_models(cfg.paths)
    require_descent(cfg.paths, "export")
    folder, rows = Path(cfg.paths.export), []
    with owned_folder(folder, "export", asdict(cfg.export)) as new:
        write_lineage(cfg.paths, "export", new)
        fewer = any(model.kind != "float" for model in models)
        pairs = read_pairs(Path(cfg.paths.prepared), "val", cfg.quantize.pairs) if fewer else []
        for model in models:
            own, start, files = new / model.name, time.perf_counter(), []
            with console.status(f"exporting {model.name} (up to a minute)"):
                if model.kind == "float":
                    network = load_model(model.source)
                    task = describe(network).task
                    traced = _traced(cfg, model.name)
                    files = export_model(network, cfg.export.formats, own, cfg.export.opset, traced)
                else:  # of the network before it, which is its parent
                    copy = own / "model.onnx"
                    own.mkdir(parents=True)
                    copy.write_bytes(read_listed(model.source)[0])
                    if "openvino" in cfg.export.formats:
                        convert_onnx(copy, own / "model.xml")
                        files.append(own / "model.xml")
                    if "onnx" in cfg.export.formats:
                        files.insert(0, copy)
                    else:
                        copy.unlink()
            weights = [file.with_suffix(".bin") for file in files if file.suffix == ".xml"]
            write_listing([*files, *weights], own)
            megabytes = ", ".join(f"{file.name} {_megabytes(file):.1f} MB" for file in files)
            console.print(f"{model.name}: {megabytes} in {time.perf_counter() - start:.0f} s")
            track = tracker(f"{model.name}: comparing with PyTorch")
            if model.kind == "float":
                rows += check_parity(model.name, network, files, cfg.export.sizes, cfg.export.tolerance, track=track)
            else:
                rows += check_budget(model.name, network, files, pairs, cfg.quantize.max_lost_db, track=track)

        write_parity(rows, new)
    show_table(
        "Parity with the PyTorch network: largest difference of random images, or PSNR lost on validation pairs",
        ["model", "format", "compared", "difference", "allowed", "passed"],
        [
            [r.variant, r.format, r.compared, shown(r), f"{r.limit:g} {r.unit}", "yes" if r.passed else "NO"]
            for r in rows
        ],
    )
    require_parity(rows)
    what_next(
        "unblur benchmark: how fast each is, how much memory it takes, what it loses",
        f"unblur restore {_EXAMPLES[task]} --model {folder / models[0].name}",
    )


def _traced(cfg: PipelineConfig, name: str) -> Path | None:
    """Return the graph in float32 that `unblur quantize` has written on its way, if it is of the opset asked for."""
    from unblur.export.onnx import opset_of

    file = Path(cfg.paths.quantize) / name / "model.onnx"
    return file if file.is_file() and opset_of(file) == cfg.export.opset else None


def _megabytes(file: Path) -> float:
    parts = [file, file.with_suffix(".bin")] if file.suffix == ".xml" else [file]
    return sum(part.stat().st_size for part in parts) / 1e6


if __name__ == "__main__":
    main()
