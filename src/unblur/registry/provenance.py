"""provenance.json: how a registered model was made, as an in-toto statement with SLSA's predicate for provenance."""

import importlib.metadata
import json
import platform
from typing import Any

from unblur.records.chosen import Chosen
from unblur.registry.card import CardFacts

FILE = "provenance.json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD = "urn:unblur:build:dvc-repro:v1"
BUILDER = "urn:unblur:builder:dvc"


def provenance(facts: CardFacts, chosen: Chosen, subjects: dict[str, str]) -> str:
    """Return the statement as JSON; what was not recorded is left out.

    Args:
        facts: the model's.
        chosen: what the benchmark chose.
        subjects: file name -> SHA-256 of what was made.
    """
    lineage, training = facts.lineage, facts.training
    builder = {"unblur": importlib.metadata.version("unblur"), "python": platform.python_version()}
    ran = {"invocationId": training.run_id or lineage.config_hash, "finishedOn": training.finished}
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in sorted(subjects.items())],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD,
                "externalParameters": {"command": "dvc repro", "configuration": {"sha256": lineage.config_hash}},
                "internalParameters": _known(
                    {
                        "variant": chosen.variant,
                        "numbers": chosen.kind,
                        "seed": training.seed,
                        "steps": training.steps,
                        "training_configuration_sha256": training.config_hash,
                    }
                ),
                "resolvedDependencies": _inputs(facts),
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": builder},
                "metadata": _known(ran),
            },
        },
    }
    return json.dumps(statement, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _inputs(facts: CardFacts) -> list[dict[str, Any]]:
    lineage, training = facts.lineage, facts.training
    found = [
        ("code", "gitCommit", lineage.git_sha, {"uncommitted changes": lineage.git_dirty}),
        ("data.dvc", "md5", lineage.data_md5.removesuffix(".dir"), {"of": "the listing that DVC makes of a folder"}),
        ("manifest.csv", "sha256", training.manifest_sha256, {"of": "the fixed pairs"}),
        (lineage.init_name or "initial weights", "sha256", lineage.init_sha256, {"licence": lineage.init_licence}),
        ("trained weights", "sha256", lineage.teacher_sha256, {}),
        ("teacher of the training", "sha256", training.teacher_sha256, {}),
    ]
    return [
        {"name": name, "digest": {algorithm: value}} | ({"annotations": about} if about else {})
        for name, algorithm, value, about in found
        if value and value != "unknown"
    ]


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value not in (None, "")}
