# Everything a developer types. `make help` lists it.
SHELL := /bin/bash -euo pipefail
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2          # test processes; each one that imports TensorFlow takes about 1 GB
PYTEST := $(BIN)/pytest --numprocesses $(strip $(JOBS)) --dist loadfile

.PHONY: help setup demo test test-fast test-slow test-clients fmt lint type arch golden bench profile docs clean

help:  ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# A stamp is made when its install succeeded, and made again when what is to be installed changes.
$(VENV)/train.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[train]' --constraint constraints.txt
	touch $@

$(VENV)/dev.stamp: $(VENV)/train.stamp
	$(BIN)/pip install --quiet --editable '.[train,dev]' --constraint constraints.txt
	touch $@

setup: $(VENV)/dev.stamp  ## .venv with everything for development

demo: $(VENV)/train.stamp  ## the whole pipeline on generated pictures, into runs/demo
	$(BIN)/edge-retina demo --out runs/demo

test: setup  ## the whole test suite
	$(PYTEST)

test-fast: setup  ## the tests that don't import TensorFlow: seconds
	$(PYTEST) -m 'not tf and not slow'

test-slow: setup  ## the end-to-end tests only
	$(PYTEST) -m slow

# The files that are loaded, and pictures: DIRECTORY COUNT. The web client needs npm and Chromium.
EXPORT ?= runs/bccd/export
CLIENT_PICTURES ?= --pictures ../shared/data/bccd/JPEGImages 14 --pictures ../shared/data/raccoon/images 8

test-clients: setup  ## EXPORT's files in every client beside `edge-retina predict`, each in its own environment
	$(BIN)/python -m tests.clients.run $(EXPORT)/*.tflite $(CLIENT_PICTURES) \
	  --json benchmarks/results/clients.json --doc docs/clients.md --readme README.md

fmt: setup  ## format the code and sort the imports
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

lint: setup  ## style and common mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: setup  ## types of the TensorFlow-free packages
	$(BIN)/mypy

arch: setup  ## which package may import which
	$(BIN)/lint-imports

golden: setup  ## make the models and results in tests/golden again; look at the diff
	$(BIN)/python tests/golden/make_tiny_detector.py

bench: setup  ## training throughput beside a bare train step
	$(BIN)/python benchmarks/throughput.py

profile: setup  ## where the demo's time goes, into runs/profile.pstats
	rm -rf runs/profile
	mkdir -p runs
	$(BIN)/python -m cProfile -o runs/profile.pstats -m edge_retina.cli.main demo --out runs/profile
	$(BIN)/python -c "import pstats; pstats.Stats('runs/profile.pstats').sort_stats('cumulative').print_stats(40)"

docs: setup  ## the README's command reference agrees with --help
	$(BIN)/pytest tests/cli/test_readme_commands.py

clean:  ## caches and builds; keeps .venv and runs
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
