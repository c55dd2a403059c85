# Everything here sets itself up: `make demo` and `make test` are the only commands a fresh clone needs.
# What is set up is remembered by a stamp that carries the place and the Python, so a moved or copied tree starts anew.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check
HERE := $(shell printf '%s' "$(CURDIR)" | cksum | cut -d ' ' -f 1)
RUNTIME := $(VENV)/.runtime-$(HERE)
DEV := $(VENV)/.dev-$(HERE)
DEMO_HOME ?= $(CURDIR)/.demo
TESTS ?=
SEED ?=
SEEDS ?= 0-1999
KILLS ?= 1000

# Tests start cmam as a process hundreds of times: without its bytecode each compiles all of it anew, which takes longer than it runs.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test types style cover proto docs sample soak bench ci clean

help:  ## Say what there is.
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "cmam needs Python 3.11 or newer; found $$($(PYTHON) --version 2>&1). Name one: make PYTHON=python3.11 …" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

$(RUNTIME): setup.cfg pyproject.toml | $(VENV)/bin/python
	@echo "Setting up $(VENV), once …"
	@$(PY) -c 'import pip' 2>/dev/null || { echo "The Python in $(VENV) does not run; making it anew."; $(PYTHON) -m venv --clear $(VENV); }
	$(PIP) install --quiet --editable .
	@touch $@

$(DEV): setup.cfg pyproject.toml | $(VENV)/bin/python
	@echo "Setting up $(VENV) with the tools, once …"
	@$(PY) -c 'import pip' 2>/dev/null || { echo "The Python in $(VENV) does not run; making it anew."; $(PYTHON) -m venv --clear $(VENV); }
	$(PIP) install --quiet --editable '.[dev]'
	@touch $@ $(RUNTIME)

demo: $(RUNTIME)  ## Install the runtime, copy trades on the sandbox for half a minute, print the audit.
	@$(BIN)/cmam --home "$(DEMO_HOME)" demo
	@$(BIN)/cmam --home "$(DEMO_HOME)/demo" audit copies

test: $(DEV)  ## Install the tools, run the tests on all processors; TESTS=tests/unit narrows it, one after the other.
	$(PY) -m pytest --durations=10 $(or $(TESTS),--numprocesses=auto --maxprocesses=8 --dist=worksteal)

types: $(DEV)  ## Check types strictly.
	$(PY) -m mypy

style: $(DEV)  ## Lint, formatting, and which module may import which.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --config setup.cfg --no-logo

cover: $(DEV)  ## Run the tests with branch coverage.
	$(PY) -m pytest --cov --cov-report=term $(TESTS)

proto: $(DEV)  ## Compile proto/ into cmam/openapi/_pb.
	$(PY) scripts/compile_proto.py

docs: $(DEV)  ## Write the generated pages of docs/ anew.
	$(PY) scripts/write_docs.py

sample: $(DEV)  ## Write events.db.sample anew. It is a promise: only when a format gains something.
	$(PY) scripts/make_sample.py

soak: $(DEV)  ## 2,000 chaos seeds, 1,000 kills, a million fuzzed frames: hours. SEEDS=0-99 KILLS=50; SEED=n replays one.
	$(if $(SEED),CHAOS_SEED=$(SEED) $(PY) -m pytest tests/chaos -q -s,$(PY) scripts/soak/chaos.py --seeds $(SEEDS))
	$(if $(SEED),,$(PY) scripts/soak/kill.py --kills $(KILLS))
	$(PY) scripts/fuzz_sandbox.py --frames 1000000 $(if $(SEED),--seed $(SEED))

bench: $(DEV)  ## Measure on this machine; QUICK=1 to see that it runs. Ratios travel, absolute numbers do not.
	$(PY) scripts/bench/all.py $(if $(QUICK),--quick)

ci:  ## What continuous integration runs.
	bash .ci/run

clean:  ## Forget the set-up and every cache.
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage htmlcov build dist *.egg-info
