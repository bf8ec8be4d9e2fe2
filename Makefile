# Every target sets up what it needs from a bare Python >= 3.11 with pip.
#   make chat    start the chat server over this folder (ROOT=... for another one)
#   make test    run the tests with the coverage gate
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
ROOT ?= .
PORT ?= 8000

.DEFAULT_GOAL := help
.PHONY: help chat test check test-all stress bench build clean

help: ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

# One stamp for each set of requirements: installed again only when pyproject.toml changes.
$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "No Python >= 3.11 found; give one: make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	touch $@

$(VENV)/.chat: pyproject.toml $(VENV)/.python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[chat]"
	touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[chat]" --group dev
	touch $@

$(VENV)/.bench: pyproject.toml $(VENV)/.python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group benchmarks
	touch $@

chat: $(VENV)/.chat ## start the chat server; prints its address
	PYTHONPATH=examples $(BIN)/python -m chat --port $(PORT) --root $(ROOT)

# A test worker is told its next tests by a thread, 16 at a time: the numbers of a thousand would
# show up in what tests trace.
test: $(VENV)/.dev ## all tests but the long ones, with the coverage gate
	$(BIN)/python -m pytest -n 4 --maxschedchunk 16 -m "not long" --cov --cov-report=term-missing:skip-covered

check: $(VENV)/.dev ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test-all: ## unit and property tests on every Python >= 3.11 of this machine
	scripts/test-all

stress: $(VENV)/.dev ## the long tests: minutes of threads, soak and churn
	$(BIN)/python -m pytest -m long --timeout 1800

bench: $(VENV)/.bench ## every benchmark, peers side by side
	for file in benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

build: $(VENV)/.dev ## wheel and source distribution into dist/
	$(BIN)/python -m build

clean: ## remove what the targets made
	rm -rf $(VENV) .venv-* build dist artifacts .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
