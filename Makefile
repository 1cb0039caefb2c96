# make demo   installs Kinochrome into .venv, then renders, colours and compares a film of its own (into demo/)
# make test   the same environment, then every test
# make lint   ruff and mypy          make docs   the documentation, into site/
#
# Another Python:           make test PYTHON=python3.12
# PyTorch's small CPU build where pip would fetch gigabytes of CUDA:
#                           make demo PIP_OPTIONS="--extra-index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3
PIP_OPTIONS ?=
JOBS ?= 2

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(PIP_OPTIONS)

.PHONY: demo test lint docs clean

demo: $(STAMP)
	$(BIN)/kinochrome demo demo

# A worker's own threads would fight with the other workers' for the same cores.
test: export OMP_NUM_THREADS = 1
test: export OPENCV_FOR_THREADS_NUM = 1
test: $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(STAMP)
	$(INSTALL) -e '.[docs]'
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) demo site

# Anew only when what is to be installed has changed.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("Kinochrome needs Python 3.11 to 3.13; $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12" % v)'
	@echo "Installing Kinochrome and what it needs into $(VENV)/ (a minute or two, once) ..."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) -e '.[dev]'
	@touch $@
