# Everything happens in a virtual environment of the project's own; `make help` says what there is.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install demo test lint format bench soak wheel docs picture clean

help:  ## Say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/installed  ## Make the virtual environment and install the package with its tools

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dask]' --group dev
	@touch $@

demo: install  ## Run plan, collect and verify end to end against a local S3 server with a sample archive
	@$(BIN)/python -m tests.archive.demo --to .demo

test: install  ## Run the whole test suite; needs no internet
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

lint: install  ## Check format, lint, types and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: install  ## Format the code and mend what the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install  ## Measure speed and memory, as ratios against a peer in the same run; BENCH=--scale: of millions
	$(BIN)/python -m tests.benchmarks $(BENCH)

soak: install  ## Run hundreds of rounds of faults, signals and kills, for minutes; SOAK="--seed 7" passes options
	$(BIN)/python -m tests.soak $(SOAK)

wheel: install  ## Build the wheel into dist/
	$(BIN)/python -m build --wheel --outdir dist .

docs: install $(VENV)/docs-installed  ## Build the site of the documents into .site/, links and anchors checked
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --config-file .mkdocs.yml
	@echo "The site: .site/index.html"

$(VENV)/docs-installed: pyproject.toml
	$(BIN)/python -m pip install --quiet --group docs
	@touch $@

picture: install  ## Draw docs/collect.svg anew: the terminal in the middle of a real collect
	@$(BIN)/python -m tests.archive.picture --to docs/collect.svg

clean:  ## Remove what the targets above have made
	rm -rf $(VENV) .demo .site dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
