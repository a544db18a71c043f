# make test    lint, types and every test, in a virtual environment made on first use
# make test-long
#              the same with many more random cases, kills and damaged files, in an hour or more
# make demo    the digits examples, classified and trained, on threads and then on a Dask cluster
# make bench   every benchmark, in about an hour; writes docs/benchmarks.md and docs/plots
#              BENCH="--quick --only local_products queries" runs small sizes of some, into build/benchmarks
# make fmt     format and tidy the code
# make clean   remove what builds and tests leave behind (and not the virtual environment)

VENV ?= .venv
PYTHON ?= $(firstword $(foreach p,python3.11 python3 python3.12 python3.13,\
	$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
# One more than the least machine has cores: tests wait for processes, disks and clocks about a third of the time.
WORKERS ?= 3
BENCH ?=
# Tests of what comes from torch and onnx are skipped where these are missing: EXTRAS=dev,peers,tables,bench,demo,torch,onnx
EXTRAS ?= dev,peers,tables,bench,demo
PIPFLAGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIPFLAGS)

# Tests start hundreds of processes: each would compile what it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: test test-long demo bench fmt clean

test-long: export TRA_LONG_TESTS = 1
test test-long: $(VENV)/.test
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/pytest -n $(WORKERS)

demo: $(VENV)/.demo
	$(BIN)/tra run examples/digits.tra
	$(BIN)/tra run examples/digits.tra --backend dask
	$(BIN)/tra run examples/digits_train.tra
	$(BIN)/tra run examples/digits_train.tra --backend dask

bench: $(VENV)/.test
	$(BIN)/python benchmarks/report.py $(BENCH)

fmt: $(VENV)/.test
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

clean:
	rm -rf build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find $(wildcard tra tests benchmarks examples) -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps say what a virtual environment holds. What tests need includes what the demo needs.
$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[$(EXTRAS)]'
	touch $(VENV)/.demo $@

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[demo]'
	touch $@

$(BIN)/python:
	$(if $(PYTHON),,$(error tra needs Python 3.11 or newer: none found on PATH; name one with PYTHON=...))
	$(PYTHON) -m venv $(VENV)
