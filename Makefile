SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The interpreter that makes .venv: the first one here that runs and is new enough.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
RUN := .venv/bin/python -m
WORKERS ?= 2
# The only files that `make nightly` tests, if any are named.
TESTS ?=
# One thread a test process: the workers are the parallelism, and the bits don't depend on the machine.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1
# Overrides for `make demo`, for example ARGS="seed=1 output=runs/demo1".
ARGS ?=

# What `make reproduce-tables` trains and where its tables go.
PRESET ?= laptop
SEEDS ?= 0 1 2

.PHONY: help setup demo test nightly lint bench wheel reproduce-tables balance

help:  ## show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)$$/  make \1|\2/p' Makefile | column -t -s '|'

setup: .venv/.ready  ## make .venv with the pinned packages

.venv/.ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer was not found. Say where it is: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x .venv/bin/python || "$(PYTHON)" -m venv .venv
	$(RUN) pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup  ## train, score and picture the proposed pipeline on synthetic faces (15 minutes, 2 cores)
	$(RUN) occfit.cli demo $(ARGS)

reproduce-tables: setup  ## train, score and compare every system of the paper's tables (an hour and a half, 2 cores)
	$(RUN) occfit.cli reproduce --preset $(PRESET) --seeds $(SEEDS) $(ARGS)

balance: setup  ## the ablations under the paper's, the published code's and our weights: which masks collapse
	$(RUN) benchmarks.balance --preset $(PRESET) --seeds $(SEEDS) $(ARGS)

test: lint  ## check everything but what takes hours or a GPU
	$(ONE_THREAD) $(RUN) pytest -n $(WORKERS) --dist loadfile -m "not nightly and not gpu"

nightly: setup  ## the tests that are too slow for every change
	$(ONE_THREAD) $(RUN) pytest -n $(WORKERS) -m "nightly" $(TESTS)

lint: setup  ## format, style, types and the order of imports
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) basedpyright
	.venv/bin/python -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

bench: setup  ## how fast the renderer and the synthetic world are here
	$(RUN) benchmarks.rendering
	$(RUN) benchmarks.world
	$(RUN) benchmarks.prepare

wheel: setup  ## build dist/occfit-*.whl
	$(RUN) build --wheel --no-isolation
