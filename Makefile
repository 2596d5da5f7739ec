# Everything a person or a machine does with Weir. `make setup` is a part of all of them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
KEY := $(shell cat requirements.lock pyproject.toml | sha256sum | cut -c1-16)
STAMP := $(VENV)/.made-$(KEY)
PATHS := schemas flows connectors contracts deploy tests
ONCE ?=

.PHONY: help setup run test test-full prove check bench

help: ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(STAMP) ## make .venv with the locked packages, unless it is up to date

$(STAMP):
	@is_ours='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))'; \
	if ! $(BIN)/python -c "$$is_ours" 2>/dev/null; then \
	  for name in python3.11 python3.12 python3; do \
	    if $$name -c "$$is_ours" 2>/dev/null; then found=$$name; break; fi; \
	  done; \
	  if [ -z "$${found:-}" ]; then \
	    echo "Weir needs Python 3.11 or 3.12: install it (apt-get install python3 python3-venv)." >&2; exit 1; \
	  fi; \
	  rm -rf $(VENV); \
	  $$found -m venv $(VENV) || { echo "no venv module: apt-get install python3-venv" >&2; exit 1; }; \
	fi
	@echo "setting up $(VENV) (once, a minute or two)" >&2
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.made-*
	@touch $@

run: setup ## start a broker and a worker, ask a dozen questions, stay up (ONCE=1: end when all are answered)
	@ONCE=$(ONCE) $(BIN)/python -m flows.cli_demo

test: setup ## the tests, at most a few minutes
	$(BIN)/python -m pytest -m "not full"

test-full: setup ## the tests that take longer, too
	$(BIN)/python -m pytest --timeout 1200

prove: setup ## the figures that Weir promises, one JSON line each (about an hour)
	@$(BIN)/python -m connectors.bench.prove

check: setup ## lint, format, types, and the contract against the code
	$(BIN)/ruff check $(PATHS)
	$(BIN)/ruff format --check $(PATHS)
	$(BIN)/pyright
	$(BIN)/weir contracts check

bench: setup ## one flood of 20,000 requests against a fake provider
	@$(BIN)/weir bench flood --requests 20000 --latency-ms 200 --json
