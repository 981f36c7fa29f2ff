"""`unblur register`: the exported model becomes a version in the MLflow registry, the candidate."""

from unblur.config.entry import stage
from unblur.config.schema import PipelineConfig


def run(cfg: PipelineConfig) -> None:
    """Register the model unless its file is there already, and show where it comes from."""
    from unblur.config.root import project_root
    from unblur.console import console, show_table
    from unblur.registry.register import register

    done = register(cfg, project_root())
    version = done.version
    if done.healed:
        what = "its stored files or signature were gone or others"
        console.print(f"{version}: {what}; written anew (SHA-256 {version.sha256[:12]}).")
        return
    if not done.created:
        console.print(f"{version} holds this very model already (SHA-256 {version.sha256[:12]}): nothing registered.")
        return
    shown = (
        "model_sha256",
        "git_sha",
        "git_dirty",
        "data_md5",
        "config_hash",
        "signing_key",
        "metric_profile",
        "test_model",
    )
    rows = [[tag, version.tags[tag]] for tag in (*shown, "test_blurred", "parameters") if tag in version.tags]
    show_table(f"Registered {version}, the candidate", ["tag", "value"], rows)


@stage
def main(cfg: PipelineConfig) -> None:
    """Register the exported model."""
    from unblur.console import what_next

    run(cfg)
    what_next(
        f"{cfg.paths.registry}/MODEL_CARD.md     its model card, also in MLflow",
        "unblur gate     hold it against the rules and the champion",
    )


if __name__ == "__main__":
    main()
