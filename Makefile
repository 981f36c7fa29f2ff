# Two commands set everything up: `make repro` and `make test`. Both can be run again at no cost.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CONFIG := artifacts/config/pipeline.yaml
PYTEST_ARGS ?=
WORKERS ?= logical

export PATH := $(CURDIR)/$(BIN):$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true
export MLFLOW_ALLOW_PICKLE_DESERIALIZATION := false
export DVC_NO_ANALYTICS := 1
export ORT_DISABLE_TELEMETRY := 1
export NO_ALBUMENTATIONS_UPDATE := 1
# Threads that spin while they wait for each other cost more than they bring.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: help venv repro test lint types format ui clean

help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1	/' | expand -t 16

venv: $(STAMP) ## create .venv and install what requirements.lock pins

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is older than Python 3.11; call make with PYTHON=python3.11 or newer" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[dev]'
	@touch $@

repro: $(STAMP) ## data, pipeline, registry, gate, promotion: from a fresh clone to a promoted model
	@test ! -e dvc.lock || python -c 'import sys, yaml; sys.exit(not isinstance(yaml.safe_load(open("dvc.lock")), dict))' 2>/dev/null || { echo "error: dvc.lock was cut off while DVC wrote it; bring it back: git checkout dvc.lock" >&2; exit 1; }
	unblur data starter
	dvc repro
	unblur release --config $(CONFIG)

test: $(STAMP) ## the whole test suite
	python -m pytest --numprocesses $(WORKERS) --maxprocesses 8 $(PYTEST_ARGS)

lint: $(STAMP) ## style and the layers of the house
	ruff check .
	ruff format --check .
	lint-imports

types: $(STAMP) ## mypy --strict over src
	mypy

format: $(STAMP) ## write the code as ruff wants it
	ruff check --fix-only .
	ruff format .

ui: $(STAMP) ## MLflow's pages on this machine: runs, models, aliases
	mlflow ui --backend-store-uri "$$(python -c 'from unblur.config.tracking import tracking_uri; print(tracking_uri())')" --host 127.0.0.1 --port 5000

clean: ## remove what the pipeline and the tools made; data, DVC's cache, MLflow's store and .venv stay
	rm -rf artifacts checkpoints multirun outputs dist reports/report.html
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests studies -name __pycache__ -type d -prune -exec rm -rf {} +
