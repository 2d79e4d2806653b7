# What we type. `make` alone lists it. Needs make and Python 3.11 or newer, nothing else; all the rest goes into .venv.

PYTHON ?= python3
BIN := .venv/bin
COMPILE := $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --custom-compile-command 'make lock'

.PHONY: help run test check format bench faults lock clean

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' Makefile | while IFS='|' read -r name text; do \
		printf '  make %-8s%s\n' "$$name" "$$text"; done

run: .venv/installed ## the whole system on this machine, with a stand-in LiveDesk; Ctrl-C stops it
	@$(BIN)/python -m tests.rig

test: .venv/installed ## everything that must pass; ARGS go to pytest
	$(BIN)/pytest $(ARGS)

check: .venv/installed ## format, lint, types, import walls
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed ## write the format, and mend what can be mended without thought
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: .venv/installed ## what it costs, against the usual way to build it; ARGS=dashboard for one part
	$(BIN)/python -m bench $(ARGS)

faults: .venv/installed ## break it on purpose, for minutes, and judge; ARGS as in: ARGS='--seed 7 --seeds 20'
	$(BIN)/python -m tests.faults $(ARGS)

lock: .venv/installed ## pin the newest versions that pyproject.toml allows
	$(COMPILE) pyproject.toml --output-file requirements.txt
	$(COMPILE) pyproject.toml --group dev --constraint requirements.txt --output-file requirements-dev.txt

clean: ## remove .venv and caches; data/ stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/installed: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'This needs Python 3.11 or newer, and $(PYTHON) is not. Name one that is: make PYTHON=python3.12 ...' >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo '$(PYTHON) has no venv module. On Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	@echo 'Installing into .venv (once; again when requirements-dev.txt has changed).'
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@
