# Developer commands. `make help` lists them.
SHELL := /bin/bash -euo pipefail
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2          # test processes; each one that imports TensorFlow takes about 1 GB
# The order is that of tests/conftest.py: xdist's own starts with the files of the most tests.
PYTEST := $(BIN)/pytest --numprocesses $(strip $(JOBS)) --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo test test-fast test-slow test-faults fuzz test-clients test-interop test-docs-slow fmt lint type arch golden bench profile docs references docs-site clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# A stamp file marks a finished install. It is renewed when the dependencies or their pins change.
$(VENV)/train.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[train]' --constraint constraints.txt
	touch $@

$(VENV)/dev.stamp: $(VENV)/train.stamp tests/oracles.txt
	$(BIN)/pip install --quiet --editable '.[train,tune,dev]' --constraint constraints.txt
	$(BIN)/pip install --quiet --no-deps --requirement tests/oracles.txt
	touch $@

setup: $(VENV)/dev.stamp  ## install everything for development into .venv

demo: $(VENV)/train.stamp  ## run the whole pipeline on generated images, into runs/demo
	$(BIN)/edge-retina demo --out runs/demo

test: setup  ## run the whole test suite; it names the slowest tests at the end
	$(PYTEST) --durations=30

test-fast: setup  ## run the tests that need no TensorFlow; takes seconds
	$(PYTEST) -m 'not tf and not slow'

test-slow: setup  ## run only the end-to-end tests
	$(PYTEST) -m slow

test-faults: setup  ## kill whole runs at 30 moments, fill disks, damage checkpoints; takes an hour
	$(BIN)/pytest tests/faults -m faults --durations=0

MINUTES ?= 1  # of processor time for each target
TARGETS ?=     # of the fuzzing, such as "coco tflite"; all of them by default

fuzz: setup  ## feed damaged files to every parser, MINUTES for each of TARGETS; new findings go into tests/fuzz/corpus
	$(BIN)/python -m tests.fuzz.run $(TARGETS) --all --keep --seed "$$(date +%s)" \
	  --seconds "$$(( 60 * $(strip $(MINUTES)) ))" --json benchmarks/results/fuzz.json

# The exported files, and the images as DIRECTORY COUNT. The web client needs npm and Chromium.
EXPORT ?= runs/bccd/export
CLIENT_PICTURES ?= --pictures ../shared/data/bccd/JPEGImages 14 --pictures ../shared/data/raccoon/images 8

test-clients: setup  ## compare every client with `edge-retina predict` on EXPORT's files; one environment per client
	$(BIN)/python -m tests.clients.run $(EXPORT)/*.tflite $(CLIENT_PICTURES) \
	  --json benchmarks/results/clients.json --doc docs/clients.md

.venv-interop/stamp: pyproject.toml tests/interop/requirements.txt
	$(PYTHON) -m venv .venv-interop
	.venv-interop/bin/pip install --quiet --editable . --requirement tests/interop/requirements.txt
	touch $@

test-interop: .venv-interop/stamp  ## test the adapters to supervision and FiftyOne against the real packages, in .venv-interop
	.venv-interop/bin/pytest tests/interop

fmt: setup  ## format the code and sort the imports
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

lint: setup  ## check style and common mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: setup  ## types of the whole package
	$(BIN)/mypy

arch: setup  ## check which package imports which
	$(BIN)/lint-imports

golden: setup  ## rebuild the models and results in tests/golden; read the diff
	$(BIN)/python tests/golden/make_tiny_detector.py

bench: setup  ## measure training throughput against a bare train step
	$(BIN)/python benchmarks/throughput.py

profile: setup  ## profile the demo, into runs/profile.pstats
	rm -rf runs/profile
	mkdir -p runs
	$(BIN)/python -m cProfile -o runs/profile.pstats -m edge_retina.cli.main demo --out runs/profile
	$(BIN)/python -c "import pstats; pstats.Stats('runs/profile.pstats').sort_stats('cumulative').print_stats(40)"

docs: setup  ## check links, commands and snippets of README and docs, the generated pages, and benchmarks/README.md
	$(BIN)/pytest tests/cli/test_readme_commands.py tests/test_readme.py tests/test_docs.py tests/test_suites.py

test-docs-slow: setup  ## run every snippet of README and docs that can be run, also those that train; takes many minutes
	$(BIN)/python -m tests.snippets.run --slow

references: setup  ## rewrite the generated pages and schemas in docs/ from the code
	$(BIN)/python -m docs.site.references
	$(BIN)/python -m docs.site.schemas

.venv-docs/stamp: docs/site/requirements.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/pip install --quiet --requirement docs/site/requirements.txt
	touch $@

# Without --quiet: that hides the warnings from --strict too.
docs-site: .venv-docs/stamp  ## build the documentation as a website, into build/docs-site
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict
	@echo build/docs-site/index.html

clean:  ## remove caches and builds; keep .venv and runs
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
