# Everything a newcomer needs; `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The first interpreter that really starts and is new enough (a name on the PATH may be an empty shim).
FIND_PYTHON = for name in python3.11 python3.12 python3.13 python3; do \
	  if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo "$$name"; exit 0; fi; \
	done; echo "no Python 3.11 or newer found: set PYTHON=/path/to/python" >&2; exit 1
PYTHON ?= $(shell $(FIND_PYTHON))

BIN := .venv/bin
LOWEST := .venv-lowest/bin
HYDRA := .venv-hydra/bin
DEMO_DIR := runs/demo
SITE := docs/_build/site
# What people read; Python has the words of the code.
PROSE := README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md docs experiments conf
# Tests side by side, one per core but not more than memory holds; their networks are too small to share among threads.
PYTEST := -m pytest -q --numprocesses=auto --maxprocesses=4 --dist=worksteal

.PHONY: help
help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' \
	  | while IFS='|' read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

.venv/.installed: pyproject.toml constraints.txt
	test -n "$(PYTHON)"
	test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[experiments,export,dev,docs]'
	touch $@

.PHONY: install
install: .venv/.installed ## make .venv and install the package with pinned versions

.PHONY: lint
lint: .venv/.installed ## ruff, mypy, who may import whom, and the words of the prose
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/codespell --dictionary=- --dictionary=docs/words.txt $(PROSE)

.PHONY: docs
docs: .venv/.installed ## build the site of the documentation, in docs/_build/site; warnings are errors
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -c docs . $(SITE)
	@echo "open $(SITE)/docs/index.html in a browser"

.PHONY: test
test: lint docs ## lint, types, documentation and the quick tests (.ci/run calls this)
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST) -m 'not slow'

.PHONY: test-all
test-all: lint ## lint, types and every test, the slow ones too
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST)

.PHONY: demo
demo: .venv/.installed ## prune a ResNet-56 on handwritten digits, a few minutes of one core
	@# Pictures of 8 x 8 pixels are too small to share among threads: one is as fast, and leaves a core free.
	OMP_NUM_THREADS=1 $(BIN)/python train.py experiment=demo force=exponential model=resnet56 hydra.run.dir=$(DEMO_DIR)
	@echo "report:   $(DEMO_DIR)/report.html (open it in a browser), report.md and report.json"
	@echo "pictures: $$(ls $(DEMO_DIR)/*.png | tr '\n' ' ')"

.venv-lowest/.installed: pyproject.toml constraints-lowest.txt
	test -n "$(PYTHON)"
	test -x $(LOWEST)/python || "$(PYTHON)" -m venv .venv-lowest
	$(LOWEST)/python -m pip install --quiet --constraint constraints-lowest.txt --editable '.[experiments,dev]'
	touch $@

.PHONY: lowest
lowest: .venv-lowest/.installed ## the tests with the lowest versions that pyproject.toml allows
	# Old libraries with newer ones below them warn of their own accord; such warnings are no errors here.
	OMP_NUM_THREADS=1 $(LOWEST)/python $(PYTEST) -m 'not slow' -W default

.venv-hydra/.installed: pyproject.toml constraints.txt
	test -n "$(PYTHON)"
	test -x $(HYDRA)/python || "$(PYTHON)" -m venv .venv-hydra
	@# What Hydra brings along is its own affair.
	grep -vE '^(hydra-core|omegaconf|antlr4)' constraints.txt > .venv-hydra/constraints.txt
	$(HYDRA)/python -m pip install --quiet --constraint .venv-hydra/constraints.txt --editable '.[experiments,dev]' 'hydra-core==1.4.0rc3'
	touch $@

.PHONY: hydra
hydra: .venv-hydra/.installed ## the tests of configurations and of train.py with the release candidate of Hydra 1.4
	OMP_NUM_THREADS=1 $(HYDRA)/python $(PYTEST) -m 'not slow' tests/experiments/training tests/experiments/bench
	OMP_NUM_THREADS=1 $(HYDRA)/python train.py trainer=smoke hydra.run.dir=runs/hydra

.PHONY: bench
bench: .venv/.installed ## measure the goals of speed and write experiments/goals/README.md (about an hour and a half)
	OMP_NUM_THREADS=1 $(BIN)/python -m experiments.speed.run --again
	$(BIN)/python -m experiments.tracing.depth
	for part in tracker job apart peaks profiling asked run; do OMP_NUM_THREADS=1 $(BIN)/python -m experiments.goals.$$part || exit; done

.PHONY: clean
clean: ## remove the environments, caches and runs
	rm -rf .venv .venv-lowest .venv-hydra runs multirun build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
