"""bom.json: the bill of materials of a registered model (CycloneDX 1.6), of hashes, licences and versions alone.

The same model has the same bill on the same installation, byte for byte: its serial number is made of the model's
SHA-256, its time is that of the training.
"""

import importlib.metadata
import json
import re
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from unblur.data.listing import Entry
from unblur.records.chosen import Chosen
from unblur.registry.card import CardFacts

if TYPE_CHECKING:
    from cyclonedx.model.component import Component
    from cyclonedx.model.license import License

FILE = "bom.json"
MODEL, DATA = "model", "data"  # references inside the bill
_PACKAGE = re.compile(r"[A-Za-z0-9._-]+")


def bill_of_materials(facts: CardFacts, chosen: Chosen) -> str:
    """Return the bill as JSON: the model with its card, its parents, its data and the packages that made it."""
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType, Pedigree
    from cyclonedx.model.dependency import Dependency
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    lineage, training = facts.lineage, facts.training
    weights = ComponentType.MACHINE_LEARNING_MODEL
    parents = {lineage.teacher_sha256: "trained weights", lineage.parent_sha256: "weights that it was made of"}
    if lineage.init_sha256:
        parents[lineage.init_sha256] = lineage.init_name or "weights that training began with"
    ancestors = [
        Component(
            name=name,
            type=weights,
            bom_ref=f"weights:{sha256}",
            hashes=_sha256(sha256),
            licenses=_licences([lineage.init_licence] if lineage.init_licence else []),
        )
        for sha256, name in parents.items()
        if sha256
    ]
    model = Component(
        name=facts.name,
        type=weights,
        bom_ref=MODEL,
        version=lineage.model_sha256[:12],
        hashes=_sha256(lineage.model_sha256),
        licenses=_licences([lineage.init_licence] if lineage.init_licence else []),
        pedigree=Pedigree(ancestors=ancestors) if ancestors else None,
    )
    data = _data(facts)
    packages = []
    for name, version in installed_packages():
        purl = PackageURL("pypi", None, name, version)
        packages.append(Component(name=name, type=ComponentType.LIBRARY, bom_ref=str(purl), version=version, purl=purl))
    moment = _moment(training.finished)
    bill = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"sha256:{lineage.model_sha256}"),
        metadata=BomMetaData(component=model, timestamp=moment),
        components=[data, *packages],
    )
    bill.dependencies.add(Dependency(model.bom_ref, [Dependency(each.bom_ref) for each in (data, *packages)]))
    written: dict[str, Any] = json.loads(JsonV1Dot6(bill).output_as_string())
    if moment is None:
        del written["metadata"]["timestamp"]
    # The library has no model cards yet.
    written["metadata"]["component"]["modelCard"] = _model_card(facts, chosen)
    return json.dumps(written, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def installed_packages() -> list[tuple[str, str]]:
    """Return name and version of what unblur asks for to run and train, as far as it is installed, sorted by name."""
    found = {}
    for line in importlib.metadata.requires("unblur") or []:
        _, _, marker = line.partition(";")
        named = _PACKAGE.match(line)
        if named is None or named[0] == "unblur" or ("extra" in marker and "train" not in marker):
            continue
        try:
            found[named[0].lower()] = importlib.metadata.version(named[0])
        except importlib.metadata.PackageNotFoundError:
            continue
    return sorted(found.items())


def _data(facts: CardFacts) -> "Component":
    """The data that data.dvc records, and in it each listed photograph with its own hash and licence."""
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentType

    md5 = facts.lineage.data_md5.removesuffix(".dir")
    known = re.fullmatch(r"[0-9a-f]{32}", md5) is not None
    return Component(
        name=facts.dataset or "photographs",
        type=ComponentType.DATA,
        bom_ref=DATA,
        version=facts.lineage.data_md5,
        hashes=[HashType(alg=HashAlgorithm.MD5, content=md5)] if known else [],
        licenses=_licences(source.licence for source in facts.sources),
        components=[
            Component(
                name=source.file,
                type=ComponentType.FILE,
                bom_ref=f"{DATA}/{source.file}",
                hashes=_sha256(source.sha256),
                licenses=_licences([source.licence]),
                properties=[Property(name="unblur:split", value=str(source.split))],
                authors=_authors(source),
            )
            for source in facts.sources
        ],
    )


def _authors(source: Entry) -> list[Any]:
    from cyclonedx.model.contact import OrganizationalContact

    return [OrganizationalContact(name=source.author)] if source.author else []


def _licences(names: Iterable[str]) -> "list[License]":
    """Names that SPDX does not list stay as they are written."""
    from cyclonedx.contrib.license.exceptions import InvalidSpdxLicenseException
    from cyclonedx.contrib.license.factories import LicenseFactory

    factory, found = LicenseFactory(), list[Any]()
    for name in sorted(set(names)):
        try:
            found.append(factory.make_with_id(name))
        except InvalidSpdxLicenseException:
            found.append(factory.make_with_name(name))
    return found


def _sha256(value: str) -> list[Any]:
    from cyclonedx.model import HashAlgorithm, HashType

    return [HashType(alg=HashAlgorithm.SHA_256, content=value)]


def _moment(finished: str) -> datetime | None:
    try:
        return datetime.fromisoformat(finished)
    except ValueError:
        return None


def _model_card(facts: CardFacts, chosen: Chosen) -> dict[str, Any]:
    card: dict[str, Any] = {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": f"deblurring ({facts.task})",
            "modelArchitecture": facts.network,
            "datasets": [{"ref": DATA}],
            "inputs": [{"format": "float32 RGB in [0, 1]"}],
            "outputs": [{"format": "float32 RGB in [0, 1]"}],
        },
        "properties": [
            {"name": f"unblur:{name}", "value": str(value)}
            for name, value in {
                "variant": chosen.variant,
                "numbers": chosen.kind,
                "parameters": facts.parameters,
                "configuration_sha256": facts.lineage.config_hash,
                "seed": facts.training.seed,
                "steps": facts.training.steps,
            }.items()
            if value is not None
        ],
    }
    if facts.metrics:
        card["quantitativeAnalysis"] = {
            "performanceMetrics": [
                {"type": profile, "value": f"{value:.6g}", "slice": f"test, {method}"}
                for method, means in facts.metrics.test.items()
                for profile, value in means.items()
            ]
        }
    return card
