# Everything is installed from requirements/*.txt (exact versions, hashes) into .venv; nothing by hand.
PYTHON ?= python3
BIN := .venv/bin
UV = $(shell command -v uv || echo $(BIN)/uv)
export UV_LINK_MODE = copy
export UV_PYTHON_DOWNLOADS = never
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# The demo's temperature and seed: a single vote a step fails there, a lead of 4 succeeds.
DEMO = hanoi -T disks=10 --model embedded:temperature=2.0 --seed 3

.PHONY: help demo demo-k1 test test-slow test-window simulate lint check docs bench lock wheel clean

help:
	@echo "make demo       1,023 dependent steps by the embedded model on Ray, voted and verified"
	@echo "make demo-k1    the same without voting, to see it fail"
	@echo "make test       all tests but the slow ones;  make test-slow  those"
	@echo "make test-window  what is promised of crashes and replay, with --window 8"
	@echo "make simulate   SEEDS=10000 simulated runs in which everything goes wrong, and the planted bugs"
	@echo "make lint       ruff, mypy, pyright, import contracts;  make check  lint and test"
	@echo "make docs       the reference from the docstrings"
	@echo "make bench      the benchmarks;  make lock  compile the lock files anew"

demo: .venv/run
	$(BIN)/maker run $(DEMO) --k 4

demo-k1: .venv/run
	$(BIN)/maker run $(DEMO) --k 1

# Many tests wait for processes of their own: more at a time than a few would only make them wait for each other.
PARALLEL = -n auto --maxprocesses 4 --dist worksteal
test: .venv/dev
	$(BIN)/python -m pytest -m "not slow" $(PARALLEL)

test-slow: .venv/dev
	$(BIN)/python -m pytest -m slow

# What is promised of crashes, resuming and replaying, with steps voted on ahead.
CRASHES = survival recovery signals replay kills losses cluster cli budget decide amend fork fork_join storage_faults
test-window: .venv/dev
	MAKER_WINDOW=8 $(BIN)/python -m pytest -m "not slow" $(PARALLEL) $(CRASHES:%=tests/test_%.py)

SEEDS = 10000
simulate: .venv/dev
	$(BIN)/python -m tests.simulation --seeds $(SEEDS)
	$(BIN)/python -m tests.simulation --mutants

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

check: lint test

docs: .venv/dev
	$(BIN)/python docs/reference.py > docs/reference.md.new
	mv docs/reference.md.new docs/reference.md

bench: .venv/dev
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.chain
	$(BIN)/python -m benchmarks.resume
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.workers
	$(BIN)/python -m benchmarks.journal
	$(BIN)/python -m benchmarks.kills
	$(BIN)/python -m benchmarks.limit
	$(BIN)/python -m benchmarks.http
	$(BIN)/python -m benchmarks.requests
	$(BIN)/python -m benchmarks.demo

wheel: .venv/dev
	$(BIN)/python -m build --no-isolation

# -- set-up ---------------------------------------------------------------------------------------

.venv/uv:
	@command -v $(PYTHON) >/dev/null || { echo "Maker needs Python 3.11 or newer, and there is no $(PYTHON): install python3 (Debian: apt install python3 python3-venv), or name one: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Maker needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1): install a newer one and name it: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) has no venv: install it (Debian and Ubuntu: apt install python3-venv), then run make again"; exit 1; }
	$(PYTHON) -m venv .venv
	command -v uv >/dev/null || $(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/uv.txt
	@touch $@

.venv/run: .venv/uv requirements/run.txt pyproject.toml
	$(UV) pip install --quiet --python .venv --require-hashes --requirement requirements/run.txt
	$(UV) pip install --quiet --python .venv --require-hashes --requirement requirements/build.txt
	$(UV) pip install --quiet --python .venv --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev: .venv/run requirements/dev.txt
	$(UV) pip install --quiet --python .venv --require-hashes --requirement requirements/dev.txt
	@touch $@

COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate
lock: .venv/uv
	$(COMPILE) pyproject.toml --output-file requirements/run.txt
	printf 'hatchling>=1.27,<2\neditables>=0.5,<1\n' | $(COMPILE) - --output-file requirements/build.txt
	echo 'uv>=0.9,<1' | $(COMPILE) - --output-file requirements/uv.txt
	$(COMPILE) pyproject.toml --group dev --constraint requirements/run.txt --output-file requirements/dev.txt

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
