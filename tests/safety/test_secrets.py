import base64
import os
import subprocess
import sys

import pytest

from unblur.safety.secrets import holds_secret, masked, masked_values


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pa@ss@host:5000/x", "https://***@host:5000/x"),
        ("postgresql+psycopg2://u:p@db/mlflow", "postgresql+psycopg2://***@db/mlflow"),
        ("no answer from http://u:p@a, then http://u:q@b.", "no answer from http://***@a, then http://***@b."),
        ("postgresql://db/mlflow?user=u&password=p&x=1", "postgresql://db/mlflow?user=u&password=***&x=1"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_what_is_secret_in_an_address_is_not_shown(text, shown):
    assert masked(text) == shown


@pytest.mark.parametrize(
    "name",
    [
        *(
            "MLFLOW_TRACKING_PASSWORD",
            "MLFLOW_TRACKING_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "GH_TOKEN",
        ),
        "PGPASSWORD",  # of PostgreSQL
    ],
)
def test_secrets_of_the_environment_are_masked_wherever_they_stand(name, monkeypatch):
    monkeypatch.setenv(name, "schlehe/dorn+42")
    assert masked("a schlehe/dorn+42, quoted schlehe%2Fdorn%2B42.") == "a ***, quoted ***."
    assert masked_values({"a": ["schlehe/dorn+42", 3, None]}) == {"a": ["***", 3, None]}
    assert holds_secret("x schlehe/dorn+42")


def test_a_password_in_an_address_of_the_environment_is_masked_alone_too(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:hagebutte%2F61@host:5000")
    header = base64.b64encode(b"ada:hagebutte/61").decode()
    assert masked(f"hagebutte/61 hagebutte%2F61 Basic {header}") == "*** *** Basic ***"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "  "])
def test_a_secret_with_white_space_around_it_is_masked_without_it(end, monkeypatch):
    monkeypatch.setenv("UNBLUR_WEBHOOK_TOKEN", f"schlehe42{end}")
    assert masked(f"schlehe42, {f'Bearer schlehe42{end}'.encode()}\n").startswith("***, b'Bearer ***")
    assert masked("the line\nschlehe42\r\nends") == "the line\n***\r\nends"
    assert holds_secret("schlehe42")


def test_white_space_alone_is_no_secret(monkeypatch):
    monkeypatch.setenv("UNBLUR_WEBHOOK_TOKEN", " " * 8)
    assert masked(f"a{' ' * 8}b") == f"a{' ' * 8}b"


@pytest.mark.parametrize("secret", ["a\\schlehe", "schlehe\r\ndorn", "schlehe\x1b", "schlehe's", "\u00e9schlehe\"'s"])
def test_secrets_are_masked_as_python_shows_them(secret, monkeypatch):
    monkeypatch.setenv("UNBLUR_WEBHOOK_TOKEN", secret)
    for around in ("Bearer {}", '"{}"', "'{}'"):
        text = around.format(secret)
        for shown in (repr(text), ascii(text), repr(text.encode()), repr(text.encode("latin-1"))):
            assert "schlehe" not in masked(shown)
            assert "***" in masked(shown)


def test_a_secret_of_the_environment_that_is_no_utf_8_is_masked(monkeypatch):
    monkeypatch.setenv("UNBLUR_WEBHOOK_TOKEN", "schlehe\udcff")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:hagebutte\udcff@host:5000")
    assert masked("schlehe\udcff, hagebutte\udcff, quoted schlehe%FF") == "***, ***, quoted ***"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("TOKENIZERS_PARALLELISM", "parallel"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/run/token"),
        ("MLFLOW_TRACKING_PASSWORD", "tests"),  # too short: it would be masked in every "latest"
    ],
)
def test_what_is_no_secret_stays(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    assert masked(f"the latest of {value}") == f"the latest of {value}"


def test_a_secret_is_masked_from_six_characters_on(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "abcdef")
    assert masked("abcdefg") == "***g"


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict"])
def test_a_name_that_the_terminal_cannot_show_is_no_error(encoding):
    code = "from unblur.safety.secrets import mask_output; mask_output(); print('a\\udcff \\u00e9')"
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert done.stdout in (b"a\\udcff \xc3\xa9\n", b"a\\udcff \\xe9\n")


def test_all_output_goes_through_the_filter(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "holunderbusch23")
    code = """
import logging, sys, warnings
from unblur.safety.secrets import mask_output
mask_output(); mask_output()
from unblur.console import console, show_table
s = "holunderbusch23"
print("print", s); sys.stdout.write("write " + s + chr(10)); sys.stderr.writelines(["lines ", s])
logging.warning("log %s", s); warnings.warn("warn " + s)
console.print("console " + "x" * 60 + s + "y" * 60)
show_table("table " + s, ["a", s], [["cell " + s * 9, s]])
raise RuntimeError(s)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert said.count("***") >= 9
    assert "holunder" not in "".join(said.split())  # nor split over two lines
    assert "Traceback" in said
