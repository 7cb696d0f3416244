# Two commands on a machine that has Python >= 3.10 and make: `make demo` and `make test`. Two more are for those who
# change the code. `make test-slow`: clusters, and whole scripts of benchmarks/. `make lint`: style and types, with the
# versions of the tools that pyproject.toml pins.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
LINTED := $(VENV)/.linted

.PHONY: demo test test-slow lint docs stubs clean

demo: $(INSTALLED)
	$(BIN)/synthcl demo --out demo

# A file stays in one process. One thread each: threads of several processes would wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests --numprocesses auto --maxprocesses 4 --dist loadfile

test: $(INSTALLED)
	$(PYTEST) -m "not slow"

test-slow: $(INSTALLED)
	$(PYTEST) -m slow

lint: $(LINTED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	mkdir -p build/types/synthcl
	for folder in cli pipeline generators learners; do ln -sfn ../../../$$folder build/types/synthcl/$$folder; done
	$(BIN)/mypy
	$(BIN)/mypy examples/*.py

# What editors know of the Python API: after a change of options.
stubs: $(INSTALLED)
	$(BIN)/python tools/stubs.py

# The site, in build/site; a warning ends it.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo build/site/index.html

$(VENV)/.docs: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $@

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

$(LINTED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[lint]'
	touch $@

clean:
	rm -rf $(VENV) demo build *.egg-info
