"""`unblur export`: the trained network as ONNX and torch.export files, each compared with the PyTorch network."""

import time
from pathlib import Path

from unblur.config.entry import stage
from unblur.config.schema import PipelineConfig
from unblur.stages.console import console, show_table, tracker, what_next


@stage
def main(cfg: PipelineConfig) -> None:
    """Export artifacts/train/model to each format, check parity at each size, write parity.csv."""
    from unblur.export.formats import export_model
    from unblur.export.parity import check_parity, require_parity, write_parity
    from unblur.safety.hashing import write_listing
    from unblur.training.weights import load_model

    folder = Path(cfg.paths.export)
    network = load_model(Path(cfg.paths.train) / "model")
    files = []
    for name in cfg.export.formats:
        start = time.perf_counter()
        with console.status(f"exporting {name} (up to a minute)"):
            files.append(export_model(network, name, folder, cfg.export.opset))
        parts = [files[-1], *([files[-1].with_suffix(".bin")] if files[-1].suffix == ".xml" else [])]
        megabytes = sum(part.stat().st_size for part in parts) / 1e6
        console.print(f"exported {files[-1]}: {megabytes:.1f} MB in {time.perf_counter() - start:.0f} s")

    write_listing([*files, *(file.with_suffix(".bin") for file in files if file.suffix == ".xml")], folder)

    rows = check_parity(network, files, cfg.export.sizes, cfg.export.tolerance, tracker("comparing with PyTorch"))
    write_parity(rows, folder / "parity.csv")
    show_table(
        f"Parity with the PyTorch network (allowed: {cfg.export.tolerance:g})",
        ["format", "batch", "height", "width", "largest difference", "passed"],
        [
            [
                r.format,
                str(r.batch),
                str(r.height),
                str(r.width),
                f"{r.max_abs_difference:.1e}",
                "yes" if r.passed else "NO",
            ]
            for r in rows
        ],
    )
    require_parity(rows, cfg.export.tolerance)
    what_next(
        "unblur benchmark: how fast each runtime is, and how much memory it takes",
        f"unblur restore PHOTO OUT --model {files[0]}" if files else "unblur export export.formats=[onnx]",
    )


if __name__ == "__main__":
    main()
