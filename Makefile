# The commands of this project; `make` alone lists them. They need make and Python 3.11 or newer. Everything else is
# installed into .venv: for `make run` what running needs (about 170 MB), for the others the development tools, too.

PYTHON ?= python3
BIN := .venv/bin
# Test processes. Many tests only wait, so more processes than cores pay off. Each reads the tests that an earlier run
# has compiled, even where the environment forbids to keep compiled files: compiling takes 10 s of each.
WORKERS ?= 5
COMPILE := $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --custom-compile-command 'make lock'

.PHONY: help run test check format bench faults lock clean

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' Makefile | while IFS='|' read -r name text; do \
		printf '  make %-8s%s\n' "$$name" "$$text"; done

run: .venv/run ## run the whole system on this machine, with a stand-in for LiveDesk; Ctrl-C stops it
	@$(BIN)/python -m tests.rig

test: .venv/dev ## run all tests; ARGS go to pytest: make test ARGS='-m "not e2e"' leaves out the slow ones
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest --numprocesses $(WORKERS) --dist loadgroup $(ARGS)

check: .venv/dev ## check format, style, types, and which package imports which
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev ## format the code, and fix what ruff can fix
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: .venv/dev .venv/bench ## measure the costs against the usual way to build this; ARGS=dashboard for one part
	$(BIN)/python -m bench $(ARGS)

faults: .venv/dev ## inject faults for minutes and check that nothing is lost; for example ARGS='--seed 7 --seeds 20'
	$(BIN)/python -m tests.faults $(ARGS)

lock: .venv/dev ## pin the newest versions that pyproject.toml allows
	$(COMPILE) pyproject.toml --output-file requirements.txt
	$(COMPILE) pyproject.toml --group run --constraint requirements.txt --output-file requirements-run.txt
	$(COMPILE) pyproject.toml --group dev --constraint requirements-run.txt --output-file requirements-dev.txt
	$(COMPILE) --group pyproject.toml:bench --output-file requirements-bench.txt

clean: ## remove .venv and caches, but not data/
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/run: requirements-run.txt | .venv/bin/pip
	@echo 'Installing what running needs into .venv (once; again when $< has changed).'
	@$(BIN)/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

.venv/dev: requirements-dev.txt | .venv/bin/pip
	@echo 'Installing the development tools into .venv (once; again when $< has changed).'
	@$(BIN)/pip install --quiet --disable-pip-version-check --requirement $<
	@touch .venv/run $@

# Apart from the rest, as they need other versions of what we use.
.venv/bench: requirements-bench.txt | .venv/bin/pip
	@echo 'Installing what the bench compares with into .venv/peers (once; again when $< has changed).'
	@$(BIN)/python -m venv .venv/peers
	@.venv/peers/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'This needs Python 3.11 or newer, and $(PYTHON) is not. Choose another: make PYTHON=python3.12 ...' >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo '$(PYTHON) has no venv module. On Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	@$(PYTHON) -m venv .venv
