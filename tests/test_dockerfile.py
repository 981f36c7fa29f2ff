"""The Dockerfile keeps to what hadolint and image scanners ask for. It is read here, never built."""

import json
import re
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
INSTALLED = ("codecs", "openvino", "video", "train", "serve", "otel", "sign", "mlflow-server")  # extras
SWITCHES = (
    "MLFLOW_DISABLE_TELEMETRY",
    "DVC_NO_ANALYTICS",
    "ORT_DISABLE_TELEMETRY",
    "NO_ALBUMENTATIONS_UPDATE",
    "PYTHONDONTWRITEBYTECODE",
)


class Instruction(NamedTuple):
    """One instruction, its continuation lines joined."""

    name: str
    value: str


def parse(text: str) -> list[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Instruction(*line.split(None, 1)) for line in joined.splitlines()]


@pytest.fixture(scope="module")
def instructions() -> list[Instruction]:
    return parse((ROOT / "Dockerfile").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def runtime(instructions: list[Instruction]) -> list[Instruction]:
    """The last stage: what the image is."""
    return instructions[max(i for i, item in enumerate(instructions) if item.name == "FROM") :]


def values(instructions: list[Instruction], name: str) -> list[str]:
    return [item.value for item in instructions if item.name == name]


def test_parse_joins_lines_and_drops_comments():
    text = "FROM a:1\n# RUN no\nRUN one \\\n    # why\n    && two\nUSER 5\n"
    assert parse(text) == [("FROM", "a:1"), ("RUN", "one && two"), ("USER", "5")]


def test_base_images_have_a_version(instructions):
    arguments = dict(value.split("=", 1) for value in values(instructions, "ARG") if "=" in value)
    stages: set[str] = set()
    for value in values(instructions, "FROM"):
        image, _, stage = value.partition(" AS ")
        image = re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], image)
        assert image in stages or re.fullmatch(r"[\w./-]+:\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?", image), image
        stages.add(stage)
    assert len(stages) == 2  # what builds does not ship


def test_base_image_has_a_python_that_the_package_supports(instructions):
    arguments = dict(value.split("=", 1) for value in values(instructions, "ARG") if "=" in value)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = re.match(r"python:(\d+\.\d+)-slim", arguments["PYTHON_IMAGE"])[1]
    assert version in SpecifierSet(project["requires-python"])


def test_runs_as_a_numbered_user_that_is_not_root(runtime):
    user, group = values(runtime, "USER")[-1].split(":")
    assert int(user) >= 10000
    assert int(group) >= 10000
    made = " ".join(values(runtime, "RUN"))
    assert f"useradd --uid {user} " in made
    assert f"groupadd --gid {group} " in made
    last_user = max(i for i, item in enumerate(runtime) if item.name == "USER")
    assert not [item for item in runtime[last_user:] if item.name in {"RUN", "COPY"}]


def test_starts_unblur_and_no_shell(runtime):
    assert json.loads(values(runtime, "ENTRYPOINT")[-1]) == ["unblur"]
    assert isinstance(json.loads(values(runtime, "CMD")[-1]), list)
    assert len(values(runtime, "HEALTHCHECK")) == 1


def test_copies_and_never_adds(instructions):
    assert not values(instructions, "ADD")


def test_apt_leaves_nothing_behind(instructions):
    for command in values(instructions, "RUN"):
        if "apt-get" in command:
            assert "apt-get update" in command, "a cached list of packages would be out of date"
            assert all("--no-install-recommends" in line for line in re.findall(r"apt-get install[^&]*", command))
            assert "rm -rf /var/lib/apt/lists/*" in command
            assert "apt-get upgrade" not in command


def test_an_edit_of_the_source_installs_no_dependency_anew(instructions):
    steps = [f"{item.name} {item.value}" for item in instructions]

    def step(pattern: str) -> int:
        return next(i for i, text in enumerate(steps) if re.search(pattern, text))

    order = [step(r"^COPY requirements\.lock"), step(r"--no-deps .* torch$"), step(r"^COPY pyproject\.toml")]
    order += [step(r"--requirement dependencies\.txt"), step(r"^COPY src"), step(r"--no-deps \. ")]
    assert order == sorted(order)


def test_every_installation_keeps_to_the_lock(instructions):
    environment = " ".join(values(instructions, "ENV"))
    assert "PIP_CONSTRAINT=/src/requirements.lock" in environment
    assert values(instructions, "WORKDIR")[0] == "/src"
    assert not [value for value in values(instructions, "RUN") if "--upgrade" in value]


def test_the_installed_requirements_are_those_of_the_project(instructions, monkeypatch, capsys):
    command = next(value for value in values(instructions, "RUN") if "tomllib" in value)
    program = re.search(r'python -c "(.*?)"\s*>', command)[1]
    monkeypatch.chdir(ROOT)
    exec(program, {})
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    brought = [line for extra in INSTALLED for line in extras[extra]]
    assert "unblur[codecs,openvino,video]" in brought  # what they are there for: all but what stands in another extra
    wanted = [line for line in (*project["dependencies"], *brought) if not line.startswith("unblur[")]
    assert capsys.readouterr().out.splitlines() == wanted


def test_nothing_talks_home(runtime):
    environment = " ".join(values(runtime, "ENV"))
    for name in SWITCHES:
        assert re.search(rf"\b{name}=(1|true)\b", environment), name


def test_no_secret_and_no_address_of_an_index(instructions):
    for item in instructions:
        if item.name in {"ARG", "ENV", "LABEL"}:
            assert not re.search(r"(?i)password|token|secret_key|credential", item.value)
        assert not re.search(r"https?://", item.value)
    assert 'TORCH_INDEX=""' in values(instructions, "ARG")
    assert "TORCH_VARIANT=cpu" in values(instructions, "ARG")


def test_labels_are_those_of_the_open_container_initiative(runtime):
    label = values(runtime, "LABEL")[0]
    for key in ("title", "description", "licenses", "version", "revision", "source"):
        assert f"org.opencontainers.image.{key}=" in label
    assert 'licenses="Apache-2.0"' in label


def test_the_build_context_holds_what_is_copied_and_no_more(instructions):
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = set()
    for value in values(instructions, "COPY"):
        if not value.startswith("--from="):
            *sources, _ = value.split()
            copied.update(sources)
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)
