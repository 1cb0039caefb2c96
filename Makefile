# make demo   installs Kinochrome into .venv, then renders, colours and compares a film of its own (into demo/)
# make test   the same environment, then every test
# make lint   ruff and mypy          make docs   the documentation into site/
# Another Python:  make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
JOBS ?= 2

.PHONY: demo test lint docs clean

demo: $(STAMP)
	$(BIN)/kinochrome demo demo

# A worker's own threads would fight with the other worker's for the same cores.
test: export OMP_NUM_THREADS = 1
test: export OPENCV_FOR_THREADS_NUM = 1
test: $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) demo site

# Installed again only when what is to be installed has changed.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Kinochrome needs Python 3.10 to 3.13, not " + sys.version.split()[0] + ": make PYTHON=python3.12") if not (3, 10) <= sys.version_info[:2] <= (3, 13) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@
