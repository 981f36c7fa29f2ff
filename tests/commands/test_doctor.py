import pytest

from unblur.commands.doctor import machine_rows, model_rows
from unblur.config.compose import config_dir


@pytest.fixture(scope="module")
def table():
    return {name: (task, float(parameters), float(macs)) for name, task, parameters, macs in model_rows()}


def test_every_configured_network_is_in_the_table(table):
    assert set(table) == {path.stem for path in (config_dir() / "model").glob("*.yaml")}


@pytest.mark.parametrize(
    ("name", "task", "parameters", "macs"),
    [
        ("nafnet", "image", 17.11, 16.0),  # Chen et al. 2022
        ("nafnet64", "image", 67.89, 63.2),  # official repository
        ("restormer", "image", 26.13, 154.9),  # Zamir et al. 2022: 26.13 M; 140.99 G without the attention's products
    ],
)
def test_figures_are_those_of_the_papers(table, name, task, parameters, macs):
    assert table[name][0] == task
    assert table[name][1] == pytest.approx(parameters, abs=0.006)
    assert table[name][2] == pytest.approx(macs, rel=0.02)


def test_the_machine_is_described():
    rows = {name: found for name, found, _ in machine_rows()}
    assert rows["torch"].startswith("2.")
    assert "cores" in rows["CPU"]


def test_the_password_of_the_store_is_not_shown(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:hidden@tracking.example/x")
    rows = {name: found for name, found, _ in machine_rows()}
    assert rows["MLflow's store"] == "https://***@tracking.example/x"
