# The menu: `make` or `make help` prints it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml setup.py constraints.txt $(wildcard fastprep_ext/*.pyx fastprep_ext/*.pxd fastprep_ext/*.h)

.PHONY: help build demo test check unit bench clean

help:   ## this list
	@grep -E '^[a-z]+: .*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

build: $(VENV)/built   ## virtual environment in .venv, with fastprep compiled into it

$(VENV)/built: $(SOURCES)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing fastprep and what its tests need into $(VENV) (a minute or two the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: build   ## the main job on the samples in data/: text, store, windows, batches, embeddings
	@$(BIN)/python data/demo.py

test: check unit   ## everything: style, types, all tests

check: build   ## style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

unit: build   ## all tests and doctests
	@$(BIN)/python -m pytest

# Your own text: make bench CORPUS="prose.jsonl code.txt"
CORPUS ?=
RESULTS ?= bench

bench: build   ## speed beside tiktoken and gigatoken, as JSON in bench/ (CORPUS="FILE...": on your text)
	@mkdir -p $(RESULTS)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check gigatoken \
		|| echo "gigatoken cannot be installed here; it is left out"
	@for corpus in $(or $(CORPUS),""); do \
		name=$$(basename "$${corpus:-standard-library}" | cut -d. -f1); \
		echo "$$name: files of ids"; \
		$(BIN)/python benchmarks/bench_files.py $${corpus:+--corpus "$$corpus"} \
			--output $(RESULTS)/files-$$name.json || exit 1; \
		echo "$$name: a corpus to a token store"; \
		$(BIN)/python benchmarks/bench_prepare.py $${corpus:+--corpus "$$corpus"} \
			--output $(RESULTS)/prepare-$$name.json || exit 1; \
		for encoding in gpt2 cl100k_base o200k_base; do \
			echo "$$name: $$encoding, documents one by one"; \
			$(BIN)/python benchmarks/bench_encode.py $${corpus:+--corpus "$$corpus"} --encoding $$encoding \
				--output $(RESULTS)/encode-$$encoding-$$name.json || exit 1; \
		done; \
		$(BIN)/python benchmarks/bench_words.py $${corpus:+--corpus "$$corpus"} \
			--output $(RESULTS)/words-$$name.json || exit 1; \
	done
	@$(BIN)/python benchmarks/bench_load.py --output $(RESULTS)/load.json
	@$(BIN)/python benchmarks/bench_calls.py --output $(RESULTS)/calls.json
	@echo "Written to $(RESULTS)/:"; ls $(RESULTS)

clean:   ## remove everything that make made
	rm -rf $(VENV) bench build dist demo *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find fastprep fastprep_ext benchmarks tests -name __pycache__ -prune -exec rm -rf {} +
	rm -f fastprep_ext/*.so fastprep_ext/*.html
