"""`unblur train`: a network from the configuration, trained, averaged and saved."""

from pathlib import Path

from unblur.config.entry import stage
from unblur.config.schema import PipelineConfig


@stage
def main(cfg: PipelineConfig) -> None:
    """Train and say what came out."""
    import logging
    import re
    import warnings

    from lightning.pytorch.utilities import rank_zero_only

    from unblur.stages.console import console, show_table, what_next
    from unblur.training.fit import fit

    if not console.is_terminal:  # no progress bar there: a line for each validation instead
        logging.basicConfig(format="%(message)s")
        logging.getLogger("unblur").setLevel(logging.INFO)
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)  # no advertisements
    for known in ("Checkpoint directory", "`isinstance(treespec, LeafSpec)`"):  # right, and nothing to do about it
        warnings.filterwarnings("ignore", message=re.escape(known))
    record = fit(cfg)
    if rank_zero_only.rank:
        return
    rows = [
        ["steps", str(record.steps)],
        ["time", f"{record.seconds / 60:.1f} min" + (" (resumed)" if record.resumed else "")],
        ["precision", record.precision],
        ["validation PSNR", "-" if record.val_psnr is None else f"{record.val_psnr:.2f} dB"],
        ["weights", record.model_sha256[:16]],
    ]
    show_table("Trained", ["", ""], rows)
    what_next(
        f"the model is in {Path(cfg.paths.train) / 'model'}",
        "unblur evaluate     score it on the test pairs",
        "make ui             see its curves and sample panels in MLflow",
    )


if __name__ == "__main__":
    main()
