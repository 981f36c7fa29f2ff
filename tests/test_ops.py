"""What ops/ holds to run the server: read here and held to the code and to what is safe, never started."""

import argparse
import configparser
import hashlib
import importlib.util
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.routing import APIRoute

from unblur.commands import serve
from unblur.serving.app import make_app
from unblur.serving.door import OPEN
from unblur.serving.served import Served
from unblur.serving.settings import Settings

ROOT = Path(__file__).parents[1]
OPS = ROOT / "ops"
KUBERNETES = OPS / "kubernetes"
VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")
SECRET = re.compile(r"PASSWORD|SECRET|KEY")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
COMPOSE_TEXT = (OPS / "compose.yaml").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
LASTING = sorted(name for name, each in SERVICES.items() if each["restart"] != "no")
MANIFESTS = {
    each["kind"]: each
    for path in sorted(KUBERNETES.glob("*.yaml"))
    for each in yaml.safe_load_all(path.read_text(encoding="utf-8"))
}
POD = MANIFESTS["Deployment"]["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]
UNIT_TEXT = (OPS / "unblur.service").read_text(encoding="utf-8")
UNIT = re.findall(r"^(\w+)=(.*)$", UNIT_TEXT, re.MULTILINE)


def seconds(text: str) -> int:
    """Read seconds as Compose writes them."""
    return int(re.fullmatch(r"(\d+)s", text)[1])


def options_of(command: list[str], monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    """Return what the parser of `unblur serve` makes of a command, which starts with `serve`."""
    assert command[0] == "serve"
    parse = argparse.ArgumentParser.parse_args

    class ReadError(Exception):
        pass

    def read(parser: argparse.ArgumentParser, argv: list[str]) -> argparse.Namespace:
        raise ReadError(parse(parser, argv))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", read)
    with pytest.raises(ReadError) as caught:
        serve.main.__wrapped__(command[1:])
    return caught.value.args[0]


def commands() -> dict[str, list[str]]:
    """Return the command of the server in each of the three."""
    filled = [VARIABLE.sub(lambda match: match[3], each) for each in SERVICES["server"]["command"]]
    program, *unit = shlex.split(dict(UNIT)["ExecStart"])
    assert program.endswith("/bin/unblur")
    return {"compose": filled, "kubernetes": CONTAINER["args"], "systemd": unit}


@pytest.mark.parametrize(("way", "longest"), [("compose", 45), ("kubernetes", 60), ("systemd", 45)])
def test_the_server_understands_its_options_and_is_not_killed_within_its_grace(way, longest, monkeypatch):
    options = options_of(commands()[way], monkeypatch)
    told = {
        "compose": seconds(SERVICES["server"]["stop_grace_period"]),
        "kubernetes": POD["terminationGracePeriodSeconds"],
        "systemd": int(dict(UNIT)["TimeoutStopSec"]),
    }[way]
    before = int(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1]) if way == "kubernetes" else 0
    assert told == longest > before + options.grace
    assert options.port == 8000
    assert (options.host == "127.0.0.1") is (way == "systemd")


def test_every_way_asks_for_keys(monkeypatch):
    assert "UNBLUR_KEYS" in SERVICES["server"]["environment"]
    assert ("?", "UNBLUR_KEYS") in {(sign, name) for name, sign, _ in VARIABLE.findall(COMPOSE_TEXT)}
    mounted = {each["mountPath"]: each["name"] for each in CONTAINER["volumeMounts"]}
    file = options_of(commands()["kubernetes"], monkeypatch).keys
    volume = next(each for each in POD["volumes"] if each["name"] == mounted[str(file.parent)])
    assert volume["secret"]["secretName"] == "unblur-keys"
    assert shlex.split(dict(UNIT)["ExecStart"])[-2:] == ["--keys", "${CREDENTIALS_DIRECTORY}/keys"]
    assert dict(UNIT)["LoadCredential"] == "keys:/etc/unblur/keys"


# Compose


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_is_pinned_confined_and_limited(name):
    service = SERVICES[name]
    assert re.fullmatch(r"[\w./-]+:\d+(\.\d+)+(-[\w.]+)?", service["image"])
    assert int(service["user"].split(":")[0]) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert any(each.startswith("/tmp") for each in service["tmpfs"])
    assert {"cpus", "memory", "pids"} <= set(service["deploy"]["resources"]["limits"])
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_is_probed(name):
    assert {"test", "interval", "timeout", "retries", "start_period"} == set(SERVICES[name]["healthcheck"])


def test_what_waits_waits_for_health_or_success():
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            wanted = "service_healthy" if other in LASTING else "service_completed_successfully"
            assert how["condition"] == wanted


def test_the_image_is_the_version_of_the_project_and_built_of_the_dockerfile():
    ours = {name for name, each in SERVICES.items() if each["image"].startswith("unblur:")}
    assert ours == {"server", "mlflow", "bucket", "reader"}
    assert {SERVICES[name]["image"] for name in ours} == {f"unblur:{VERSION}"}
    assert (OPS / SERVICES["server"]["build"]["context"] / "Dockerfile").is_file()
    user = re.search(r"^USER (\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert {SERVICES[name]["user"] for name in ours} == {user}
    image = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text(encoding="utf-8"))["images"][0]
    assert (image["name"], image["newTag"]) == (CONTAINER["image"], VERSION)
    assert f"{POD['securityContext']['runAsUser']}:{POD['securityContext']['runAsGroup']}" == user


def test_no_secret_has_a_default_and_every_variable_is_explained():
    example = (OPS / ".env.example").read_text(encoding="utf-8")
    required = dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE))
    optional = dict(re.findall(r"^#(\w+)=(.*)$", example, re.MULTILINE))
    assert not any(required.values())
    used: dict[str, str] = {}
    for name, sign, value in VARIABLE.findall(COMPOSE_TEXT):
        assert used.setdefault(name, sign) == sign
        assert sign == ("?" if name in required else "-"), name
        if sign == "-":
            assert optional[name] == value
    assert set(used) == {*required, *optional}
    assert not [name for name in optional if SECRET.search(name)]
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if SECRET.search(name):
                assert VARIABLE.fullmatch(value), f"{name} is written in the file"


def test_only_mlflow_reaches_what_it_keeps():
    networks = COMPOSE["networks"]
    inner = {name for name, each in networks.items() if each.get("internal")}
    assert inner == {"registry", "stores"}
    for name in ("postgres", "objects"):
        assert SERVICES[name]["networks"] == ["stores"]
    assert "stores" not in SERVICES["server"]["networks"]
    assert {name for name, each in SERVICES.items() if set(each["networks"]) - inner} == {"server", "mlflow"}


def test_every_file_and_volume_that_it_mounts_is_there():
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (OPS / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"]


def test_mlflow_understands_its_options():
    from mlflow.cli import cli

    known = {name for each in cli.commands["server"].params for name in each.opts}
    given = SERVICES["mlflow"]["command"]
    assert given[0] == "server"
    assert {each.split("=")[0] for each in given[1:]} <= known
    assert "--app-name=basic-auth" in given


def test_the_configuration_of_accounts_holds_no_secret():
    parser = configparser.ConfigParser()
    parser.read(OPS / "mlflow-auth.ini")
    settings = parser["mlflow"]
    assert "admin_password" not in settings
    assert f"--backend-store-uri={settings['database_uri']}" in SERVICES["mlflow"]["command"]
    assert re.fullmatch(r"postgresql\+psycopg:///\w+", settings["database_uri"])
    assert settings["default_permission"] == "READ"


def test_the_bucket_is_made_once(monkeypatch, capsys):
    import boto3
    from moto import mock_aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "of-the-test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", SERVICES["bucket"]["environment"]["AWS_DEFAULT_REGION"])
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "https://s3.amazonaws.com")
    with mock_aws():
        for _ in range(2):
            spec = importlib.util.spec_from_file_location("bucket", OPS / "bucket.py")
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
        (made,) = boto3.client("s3").list_buckets()["Buckets"]
    assert f"--artifacts-destination=s3://{made['Name']}" in SERVICES["mlflow"]["command"]
    assert capsys.readouterr().out.count("is there") == 2


# Kubernetes


def test_every_manifest_is_in_the_kustomization():
    for folder in (KUBERNETES, KUBERNETES / "monitoring"):
        named = set(yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))["resources"])
        values = {"prometheus-adapter.yaml"}  # of a chart, not of the cluster
        assert named == {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"} - values


def test_the_container_is_confined_and_limited():
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert POD["automountServiceAccountToken"] is False
    context = CONTAINER["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert set(CONTAINER["resources"]["requests"]) >= {"cpu", "memory"}
    assert set(CONTAINER["resources"]["limits"]) >= {"cpu", "memory"}
    assert {"/tmp", "/dev/shm"} <= {each["mountPath"] for each in CONTAINER["volumeMounts"]}
    level = MANIFESTS["Namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert level == "restricted"


def test_probes_ask_paths_that_the_server_has_and_that_need_no_key():
    app = make_app(Served(None), Settings(keys=(hashlib.sha256(b"key").hexdigest(),)))
    paths = {route.path for route in app.routes if isinstance(route, APIRoute)}
    asked = {name: CONTAINER[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert asked == {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}
    assert set(asked.values()) <= paths & set(OPEN)
    assert "/readyz" in SERVICES["server"]["healthcheck"]["test"][-1]
    monitor = yaml.safe_load((KUBERNETES / "monitoring/service-monitor.yaml").read_text(encoding="utf-8"))
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["path"] in paths
    assert endpoint["authorization"]["credentials"]["name"] == "unblur-metrics"  # as /metrics asks for a key


def test_selectors_and_ports_meet(monkeypatch):
    labels = MANIFESTS["Deployment"]["spec"]["template"]["metadata"]["labels"]
    port = options_of(commands()["kubernetes"], monkeypatch).port
    assert CONTAINER["ports"] == [{"name": "http", "containerPort": port}]
    assert MANIFESTS["Service"]["spec"]["selector"] == labels
    assert MANIFESTS["Service"]["spec"]["ports"][0]["targetPort"] == "http"
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert MANIFESTS[kind]["spec"]["selector"]["matchLabels"] == labels
    policy = MANIFESTS["NetworkPolicy"]["spec"]
    assert policy["podSelector"]["matchLabels"] == labels
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [each["port"] for each in policy["ingress"][0]["ports"]] == [port]


def test_the_autoscaler_follows_a_metric_of_the_server_within_its_queue():
    scaler = MANIFESTS["HorizontalPodAutoscaler"]["spec"]
    assert scaler["scaleTargetRef"]["name"] == MANIFESTS["Deployment"]["metadata"]["name"]
    assert "replicas" not in MANIFESTS["Deployment"]["spec"]
    assert 2 <= scaler["minReplicas"] < scaler["maxReplicas"]
    (metric,) = scaler["metrics"]
    name = metric["pods"]["metric"]["name"]
    assert name in (ROOT / "src/unblur/serving/watching.py").read_text(encoding="utf-8")
    assert 0 < int(metric["pods"]["target"]["averageValue"]) < Settings().waiting
    adapter = yaml.safe_load((KUBERNETES / "monitoring/prometheus-adapter.yaml").read_text(encoding="utf-8"))
    (rule,) = adapter["rules"]["custom"]
    assert rule["name"]["as"] == name
    assert rule["seriesQuery"].startswith(f"{name}{{")


# systemd


def test_the_unit_is_hardened():
    wanted = {
        "DynamicUser": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "NoNewPrivileges": "yes",
        "PrivateTmp": "yes",
        "PrivateDevices": "yes",
        "CapabilityBoundingSet": "",
        "SystemCallFilter": "@system-service",
        "KillSignal": "SIGTERM",
    }
    assert wanted.items() <= dict(UNIT).items()
    assert "MemoryMax" in dict(UNIT)


def test_the_document_names_every_way():
    text = (ROOT / "docs/serving.md").read_text(encoding="utf-8")
    for path in ("ops/compose.yaml", "ops/kubernetes", "ops/unblur.service", "ops/.env.example"):
        assert path in text
    for secret in ("unblur-keys", "unblur-registry", "unblur-metrics"):
        assert f"create secret generic {secret} " in text
