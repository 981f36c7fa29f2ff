"""`unblur prune`: a smaller network out of the trained one, which teaches it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.config.descent import require_descent, write_lineage
from unblur.config.entry import stage
from unblur.config.schema import PipelineConfig
from unblur.console import console, say_training, show_table, what_next
from unblur.errors import UnblurError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


@stage
def main(cfg: PipelineConfig) -> None:
    """Write the pruned network, its curve and prune.json to artifacts/prune; without a target it is the trained one."""
    from unblur.benchmark.complexity import complexity
    from unblur.compression.prune import Pruned, prune
    from unblur.records.training import HISTORY, write_history
    from unblur.safety.atomic import replacing
    from unblur.safety.hashing import sha256_file
    from unblur.safety.owned import owned_folder
    from unblur.training.weights import WEIGHTS, load_model, read_model_config, save_model

    say_training()
    require_descent(cfg.paths, "prune")
    source, folder = Path(cfg.paths.train) / "model", Path(cfg.paths.prune)
    with owned_folder(folder, "prune", {"seed": cfg.seed, **asdict(cfg.prune)}) as new:
        write_lineage(cfg.paths, "prune", new)
        network = load_model(source)
        pruned = Pruned(network, [], [], [])
        if cfg.prune.target is not None:
            pruned = prune(cfg, network, cost_of(cfg), console.print)
        digest = save_model(pruned.network, read_model_config(source), new / "model")
        before, after = complexity(network), complexity(pruned.network)
        record = {
            "sha256": digest,
            "parent_sha256": sha256_file(source / WEIGHTS),
            "parameters": [before.parameters, after.parameters],
            "macs_256": [before.macs_256, after.macs_256],
            "shares": pruned.shares,
            "val_psnr": pruned.psnr,
            **asdict(cfg.prune),
        }
        with replacing(new / "prune.json") as unfinished:
            unfinished.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        write_history(new / HISTORY, pruned.history)
    show_table(
        "Pruned" if pruned.shares else f"Nothing pruned: {_why_not(cfg)}",
        ["", "trained", "pruned", "share"],
        [
            _row("parameters, M", before.parameters / 1e6, after.parameters / 1e6),
            _row("GMACs at 256x256", before.macs_256 / 1e9, after.macs_256 / 1e9),
        ],
    )
    for share, psnr in zip(pruned.shares, pruned.psnr, strict=True):
        console.print(
            f"{share:.1%} of the {cfg.prune.cost}: validation PSNR {'-' if psnr is None else f'{psnr:.2f} dB'}"
        )
    what_next(
        f"the model is in {folder / 'model'}: every command takes it as --model, or as paths.train={folder}",
        "unblur quantize, unblur export     fewer bits, files of every model; unblur benchmark chooses",
        "unblur prune prune.target=0.3 prune.rounds=2 prune.finetune.epochs=8     smaller, in two rounds",
    )


def cost_of(cfg: PipelineConfig) -> "Callable[[nn.Module], float]":
    """Return the measure that the target is a share of.

    Raises:
        UnblurError: there is no such measure.
    """
    from unblur.benchmark.complexity import complexity
    from unblur.compression.deployed_latency import deployed_latency

    if cfg.prune.cost == "macs":
        return lambda network: complexity(network).macs_256
    if cfg.prune.cost == "latency":
        return lambda network: deployed_latency(network, cfg.benchmark.threads)
    msg = f"prune.cost={cfg.prune.cost}; known: macs, latency"
    raise UnblurError(msg)


def _why_not(cfg: PipelineConfig) -> str:
    return "prune.target is null" if cfg.prune.target is None else "the network says of nothing that it may go"


def _row(name: str, before: float, after: float) -> list[str]:
    return [name, f"{before:.3f}", f"{after:.3f}", f"{after / before:.1%}"]


if __name__ == "__main__":
    main()
