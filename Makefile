# Developer commands. `make help` lists them.
SHELL := /bin/bash -euo pipefail
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2          # test processes; each one that imports TensorFlow takes about 1 GB
# The order is that of tests/conftest.py: xdist's own starts with the files of the most tests.
PYTEST := $(BIN)/pytest --numprocesses $(strip $(JOBS)) --dist loadfile --no-loadscope-reorder

# Both stamps install into one place.
.NOTPARALLEL:
.PHONY: help setup demo test test-fast test-slow test-faults fuzz test-clients test-interop test-docs-slow fmt lint type arch golden bench profile docs references docs-site clean
.PHONY: release-tools requirements check-tag package sbom audit lint-workflows test-package images

help:  ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# A venv that was not finished is removed: the next make would take it for whole.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "$(PYTHON) is not Python 3.10 to 3.13; name one that is: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# Bytecode is made of what is imported, when it is; pip would make it of all 8,000 files.
INSTALL := $(BIN)/pip install --quiet --no-compile

# A stamp file marks a finished install. It is renewed when the dependencies or their pins change.
$(VENV)/train.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --editable '.[train]' --constraint constraints.txt
	touch $@

# What is for development holds what is for training.
$(VENV)/dev.stamp: pyproject.toml constraints.txt tests/oracles.txt | $(BIN)/python
	$(INSTALL) --editable '.[train,tune,dev]' --constraint constraints.txt
	$(INSTALL) --no-deps --requirement tests/oracles.txt
	touch $(VENV)/train.stamp $@

setup: $(VENV)/dev.stamp  ## install everything for development into .venv

demo: $(VENV)/train.stamp  ## run the whole pipeline on generated images, into runs/demo
	$(BIN)/edge-retina demo --out runs/demo

test: setup  ## run the whole test suite; it names the slowest tests at the end
	$(PYTEST) --durations=30

test-fast: setup  ## run the tests that need no TensorFlow; takes two minutes
	$(PYTEST) -m 'not tf and not slow'

test-slow: setup  ## run only the end-to-end tests
	$(PYTEST) -m slow

test-faults: setup  ## kill whole runs at 30 moments, fill disks, damage checkpoints; takes an hour
	$(BIN)/pytest tests/faults tests/datasets/test_fuzz.py -m faults --durations=0

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

DATA ?= ../shared/data/bccd

bench: setup  ## measure training throughput on DATA against a bare train step
	$(BIN)/python benchmarks/throughput.py $(DATA)

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

# Everything from here to `clean` is for releases. Its tools are pinned with their hashes, in an environment of their own.
RELEASE := .venv-release/bin

.venv-release/stamp: requirements/release.txt
	$(PYTHON) -m venv .venv-release
	$(RELEASE)/pip install --quiet --require-hashes --requirement requirements/release.txt
	touch $@

release-tools: .venv-release/stamp  ## install the tools for releases into .venv-release

# device.txt and train.txt are for the Python of the Dockerfile, the others for every Python.
COMPILE := ../$(RELEASE)/uv pip compile --quiet --generate-hashes --no-header --no-annotate
FOR_IMAGES := --python-version 3.11 --python-platform x86_64-unknown-linux-gnu --constraint ../constraints.txt ../pyproject.toml

requirements: release-tools  ## write requirements/*.txt anew: exact versions with hashes
	cd requirements && $(COMPILE) $(FOR_IMAGES) --output-file device.txt
	cd requirements && $(COMPILE) $(FOR_IMAGES) --extra train --output-file train.txt
	cd requirements && $(COMPILE) --universal --python-version 3.10 build.in --output-file build.txt
	cd requirements && $(COMPILE) --universal --python-version 3.10 release.in --output-file release.txt

check-tag:  ## check that TAG is v and the version of the package
	@version=$$(sed -nE 's/^__version__ = "(.*)"/\1/p' edge_retina/__init__.py); \
	  [ "$(TAG)" = "v$$version" ] || { echo "TAG is '$(TAG)', but the package is $$version: tag v$$version" >&2; exit 1; }

# The same commit gives the same bytes: every time in the files is that of the commit. setuptools would
# give the sdist the times, owners and modes of the checkout, so it is packed again. The wheel is built from that.
COMMITTED = $$(git log -1 --format=%ct)
package: release-tools  ## build wheel and sdist into dist, with checksums
	rm -rf dist
	$(RELEASE)/python -m build --sdist --no-isolation .
	cd dist && for sdist in *.tar.gz; do \
	  tar -xzf $$sdist; \
	  tar --sort=name --mtime=@$(COMMITTED) --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
	    -cf - "$${sdist%.tar.gz}" | gzip -9n > $$sdist.new; \
	  rm -r "$${sdist%.tar.gz}"; \
	  mv $$sdist.new $$sdist; \
	done
	umask 022 && SOURCE_DATE_EPOCH=$(COMMITTED) $(RELEASE)/pip wheel --quiet --no-deps --no-build-isolation \
	  --wheel-dir dist dist/*.tar.gz
	$(RELEASE)/twine check --strict dist/*
	cd dist && sha256sum -- * > SHA256SUMS

PYTHONS ?= python3.10 python3.11 python3.12 python3.13
test-package: release-tools  ## install wheel and sdist with each of PYTHONS, and run the device tests on what is installed
	PYTHONPATH=. $(RELEASE)/python benchmarks/installs.py $(addprefix --python=,$(PYTHONS))

# PYTHON must be the one that device.txt and train.txt are for.
SBOM_OF ?= device train
sbom: package  ## add to dist what each image's environment consists of, as CycloneDX JSON
	for name in $(SBOM_OF); do \
	  $(PYTHON) -m venv --clear build/sbom; \
	  build/sbom/bin/pip install --quiet --require-hashes --requirement requirements/$$name.txt; \
	  build/sbom/bin/pip install --quiet --no-deps --no-index dist/*.whl; \
	  build/sbom/bin/pip uninstall --quiet --yes pip setuptools; \
	  $(RELEASE)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	    --output-file dist/edge-retina-$$name.cdx.json build/sbom/bin/python; \
	  rm -r build/sbom; \
	done
	cd dist && rm SHA256SUMS && sha256sum -- * > SHA256SUMS

audit: release-tools  ## look for known vulnerabilities in everything that is pinned with hashes
	for name in device train release; do \
	  $(RELEASE)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off --requirement requirements/$$name.txt; \
	done

lint-workflows: release-tools  ## look for mistakes and unsafe habits in .github
	$(RELEASE)/zizmor --offline .github

images: ## build both container images with docker, and start each once
	for name in device train; do \
	  docker build --target $$name --tag edge-retina:$$name .; \
	  docker run --rm --network none edge-retina:$$name --version; \
	done

clean:  ## remove caches and builds; keep .venv and runs
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
