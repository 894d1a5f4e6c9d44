# `make demo` and `make test` do all the set-up on a machine with Python >= 3.11 and Rust. `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
BIN := $(VENV)/bin
# The first Python that is new enough; `make PYTHON=...` names another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)

export VENV
export PYO3_PYTHON := $(abspath $(BIN)/python)
# Only the demonstration may ask a hub: for a model that --model names.
test modes versions serving-test bench-quick notebook screenshots docs: export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false
export PATH := $(PATH):$(HOME)/.cargo/bin

.PHONY: help demo docs test modes versions serving-test lint format rust-test bench-quick set-up set-up-demo python clean screenshots notebook

help: ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

demo: set-up-demo ## a real model on a pattern, a form, a tool and a chat (says first how much it fetches)
	@$(BIN)/rellm demo $(ARGS)

test: set-up ## all Python tests, on the wheel (ARGS="-k name" chooses)
	@$(BIN)/python -m pytest $(ARGS)

modes: set-up ## every mode of generate, pass or fail a cell, beside other libraries' processors
	@$(BIN)/python tests/modes/report.py $(ARGS)

versions: set-up ## the tests of generation on the lowest and the newest versions that pip resolves (ARGS="--only lowest")
	@$(BIN)/python dev/versions.py $(ARGS)

rust-test: python ## the tests of the Rust core
	cargo test --package rellm-core --profile tests --quiet $(ARGS)

lint: set-up ## ruff, mypy, rustfmt, clippy; warnings are errors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/stubtest rellm._core --allowlist dev/stubtest.txt --concise
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings

format: set-up ## puts all sources into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	cargo fmt --all

bench-quick: set-up ## the benchmarks in short: do they run, and are all masks right? Nothing is judged by time
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python benchmarks/compare.py --quick --rellm-python $(BIN)/python
	for bench in $(wildcard benchmarks/search.py benchmarks/generate.py); do $(BIN)/python $$bench --quick; done

serving-test: set-up ## slow: a real vLLM server on the CPU and batch jobs with workers that die (6 GB the first time)
	@$(BIN)/python dev/serving_test.py $(ARGS)
	@$(BIN)/python dev/serving_test.py --speculative --phases many,again --count 16
	@$(BIN)/python dev/serving_test.py --speculative --phases many,again --count 16 --backend guidance
	@$(BIN)/python dev/batch_test.py --ray build

screenshots: set-up ## the pictures in docs/ (needs chromium and chromedriver)
	@$(BIN)/python dev/screenshots.py

docs: set-up ## the documentation site, into site/; warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

notebook: set-up ## the notebooks in docs/, executed anew
	@$(BIN)/python dev/notebook.py
	@$(BIN)/python dev/tour.py

set-up: python ## the environment for tests and linters
	@$(PYTHON) dev/set_up.py dev

set-up-demo: python
	@$(PYTHON) dev/set_up.py demo

python:
	@test -n "$(PYTHON)" || { echo "set-up failed: no Python 3.11 or newer was found" >&2; \
	echo "    install one (on Debian: apt-get install python3) or name it: make PYTHON=/path/to/python3" >&2; exit 1; }

clean: ## removes the environment and everything built
	rm -rf $(VENV) build target dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
