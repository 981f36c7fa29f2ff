"""`unblur release`: register, gate, promote and summary in one process, so that MLflow is imported once."""

from unblur.config.entry import stage
from unblur.config.schema import PipelineConfig


@stage
def main(cfg: PipelineConfig) -> None:
    """Take the exported model from the pipeline to champion, if the gate lets it."""
    from pathlib import Path

    from unblur.commands import gate, register, summary
    from unblur.commands.promote import show
    from unblur.config.root import project_root
    from unblur.registry.promote import promote

    root = project_root()
    register.run(cfg)
    gate.run(cfg)
    show(promote(cfg.registry.model_name, root, root / Path(cfg.paths.registry), why="unblur release"))
    summary.run(cfg)


if __name__ == "__main__":
    main()
