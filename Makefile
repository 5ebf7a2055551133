# Everything runs in the project's own virtual environment; `make help` lists the targets.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install extras demo test lint format bench soak wheel docs man picture clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/demo-installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable . --group demo
	@touch $@

install: $(VENV)/installed  ## Create the virtual environment and install the package with its development tools

$(VENV)/installed: $(VENV)/demo-installed
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@

extras: $(VENV)/extras-installed  ## Also install Prefect, Dask and pandas: without them their tests skip, and types cannot be checked

$(VENV)/extras-installed: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[dask]' --group recipes
	@touch $@

demo: $(VENV)/demo-installed  ## Run plan, collect and verify against a local S3 server with a sample archive
	@$(BIN)/python -m tests.archive.demo --to .demo

test: install  ## Run the test suite; needs no internet
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

lint: extras  ## Check formatting, lint rules, types and import directions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: install  ## Format the code and fix what the linter can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/bench-installed  ## Compare speed with s5cmd and other tools (minutes): table, JSON, plot in .bench/; BENCH=--help for more
	$(BIN)/python -m tests.benchmarks $(BENCH)

$(VENV)/bench-installed: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --group bench
	@touch $@

soak: install  ## Run hundreds of rounds of random faults, kills and spoilt files (minutes); SOAK="--seed 7" passes options
	$(BIN)/python -m tests.soak $(SOAK)

wheel: install  ## Build the wheel into dist/
	$(BIN)/python -m build --wheel --outdir dist .

docs: install $(VENV)/docs-installed  ## Build the documentation site into .site/ and check links and anchors
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --config-file .mkdocs.yml
	@echo "Open .site/index.html"

$(VENV)/docs-installed: pyproject.toml
	$(BIN)/python -m pip install --quiet --group docs
	@touch $@

man: $(VENV)/demo-installed  ## Write manual pages of all commands into .man/
	@$(BIN)/python -m tests.docs.man --to .man

picture: install  ## Redraw docs/collect.svg from the terminal of a real collect
	@$(BIN)/python -m tests.archive.picture --to docs/collect.svg

clean:  ## Remove everything that the other targets create
	rm -rf $(VENV) .demo .bench .site .man dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
