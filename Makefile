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

# The lock is whole, so nothing is resolved: old versions of pip stumble over extras in it.
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
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.made-*
	@touch $@

run: setup ## start a broker and a worker, ask a dozen questions, stay up (ONCE=1: end when all are answered)
	@ONCE=$(ONCE) $(BIN)/python -m flows.cli_demo

# The real Ollama that some tests want is built beside the others, where it is wanted and not there; they wait.
BUILD_OLLAMA := if [[ "$${CI:-}" == true || "$${WEIR_OLLAMA:-}" == build ]]; then \
	$(BIN)/python tests/support/ollama_build.py & fi
# The same of the programs that use the gateway as their API.
INSTALL_CLIENTS := if [[ "$${CI:-}" == true || "$${WEIR_CLIENTS:-}" == build ]]; then \
	$(BIN)/python tests/support/clients_setup.py & fi

# Four tests at a time on two cores: now and then one misses a wait. What fails again by itself is wrong.
test: setup ## the tests, at most a few minutes
	@$(BUILD_OLLAMA)
	@$(INSTALL_CLIENTS)
	@$(BIN)/python -m pytest -m "not full" -n 4 --dist loadfile || { \
	  [[ $$? == 1 ]] || exit 1; \
	  echo "once more, one at a time: what failed while others ran beside it" >&2; \
	  $(BIN)/python -m pytest -m "not full" --last-failed --last-failed-no-failures none; }

test-full: setup ## the tests that take longer, too
	@$(BUILD_OLLAMA)
	@$(INSTALL_CLIENTS)
	$(BIN)/python -m pytest --timeout 1200 -n 2 --dist loadfile

prove: setup ## the figures that Weir promises, one JSON line each (an hour or two)
	@bad=0; \
	prove() { \
	  local times=$$1; shift; \
	  for ((at = 1; at <= times; at++)); do $(BIN)/weir bench "$$@" --json || bad=1; done; \
	}; \
	prove 1 flood --requests 20000 --latency-ms 200; \
	prove 1 flood --requests 20000 --latency-ms 2000; \
	prove 1 paced --rate 200; \
	prove 1 context; \
	prove 10 kill; \
	prove 5 kill-twice; \
	prove 5 broker; \
	prove 5 rebalance; \
	prove 5 zombie; \
	prove 1 takeover; \
	prove 1 faults; \
	prove 1 hostile --records 10000; \
	prove 1 sigterm; \
	prove 1 soak --requests 200000; \
	prove 1 provider; \
	prove 1 tokens; \
	exit $$bad

check: setup ## lint, format, types, and the contract against the code
	$(BIN)/ruff check $(PATHS)
	$(BIN)/ruff format --check $(PATHS)
	$(BIN)/pyright
	$(BIN)/weir contracts check

bench: setup ## one flood of 20,000 requests against a fake provider
	@$(BIN)/weir bench flood --requests 20000 --latency-ms 200 --json
