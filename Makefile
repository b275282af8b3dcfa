# Everything that one types. `make` alone runs the default study.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CORES ?=
CONFIG ?=
# How it runs is in profiles/default.
SNAKEMAKE := $(BIN)/snakemake $(if $(CORES),--cores $(CORES)) $(if $(CONFIG),--configfile $(CONFIG))
SOURCES := workflow scripts tests benchmarks docs

.DEFAULT_GOAL := study
.PHONY: study plan help test test-all interop lint format dag bench docs clean-env

study: $(VENV)/installed  ## run the default study (or CONFIG=...), only what is stale
	@$(SNAKEMAKE)

plan: $(VENV)/installed  ## print what a run will cost: disk, files, time, memory (CONFIG=...)
	@$(BIN)/saeflow plan $(if $(CONFIG),--configfile $(CONFIG))

help:  ## list what make can do
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.lock)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

test: $(VENV)/installed  ## run the tests
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

test-all: $(VENV)/installed  ## run the slow tests too (whole studies, the real model if it is at hand)
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m ""

interop: $(VENV)/installed  ## install other SAE libraries in .peers and compare files with them
	@$(BIN)/python tests/interop/install.py
	@$(BIN)/python -m pytest -m "" tests/interop

lint: $(VENV)/installed  ## check style, the workflow and the generated pages
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/snakefmt --check Snakefile rules
	@$(BIN)/snakemake --lint
	@$(BIN)/python docs/generate.py --check

format: $(VENV)/installed  ## rewrite the sources in the house style
	@$(BIN)/ruff check --fix $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/snakefmt Snakefile rules

docs: $(VENV)/installed  ## write the generated pages anew
	@$(BIN)/python docs/generate.py

dag: $(VENV)/installed  ## print the graph of the passes that would run (Mermaid)
	@$(SNAKEMAKE) --rulegraph mermaid-js 2>/dev/null

bench: $(VENV)/installed  ## measure speeds against their ceilings
	@$(BIN)/python -m benchmarks

clean-env:  ## remove the environment
	rm -rf $(VENV)
