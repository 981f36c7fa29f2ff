"""`unblur train`: a network from the configuration, trained, averaged and saved."""

from pathlib import Path

from unblur.config.entry import stage
from unblur.config.schema import PipelineConfig


@stage
def main(cfg: PipelineConfig) -> None:
    """Train and say what came out."""
    from lightning.pytorch.utilities import rank_zero_only

    from unblur.config.root import project_root
    from unblur.console import say_training, show_table, what_next
    from unblur.training.fit import fit
    from unblur.training.unsent import waiting

    say_training()
    record = fit(cfg)
    if rank_zero_only.rank:
        return
    rows = [
        ["steps", str(record.steps)],
        ["time", f"{(record.seconds or 0) / 60:.1f} min" + (" (resumed)" if record.resumed else "")],
        ["precision", record.precision],
        ["validation PSNR", "-" if record.val_psnr is None else f"{record.val_psnr:.2f} dB"],
        ["weights", record.model_sha256[:16]],
    ]
    show_table("Trained", ["", ""], rows)
    unsent = waiting(project_root())
    what_next(
        *(["unblur sync-metrics     send what MLflow has not got, once its server answers"] if unsent else []),
        f"the model is in {Path(cfg.paths.train) / 'model'}",
        "unblur evaluate     score it on the test pairs",
        "make ui             see its curves and sample panels in MLflow",
    )


if __name__ == "__main__":
    main()
