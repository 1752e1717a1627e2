# One runner for people and for CI.  Needs Python 3.11 or later; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test install check bench soak soak-memory soak-standby lock clean

demo: $(STAMP)  ## accelerated simulation on a generated market, then a replay of its own ledger
	@$(BIN)/grinder demo

install: $(STAMP)  ## .venv/bin/grinder

$(STAMP): requirements.lock setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

check: $(STAMP)  ## lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check  ## everything CI runs
	$(BIN)/python -m pytest -n 2

bench: $(STAMP)  ## the figures of docs/benchmarks.md, as ratios in one run
	$(BIN)/python -m benchmarks

soak: $(STAMP)  ## the seeded simulation on many seeds: make soak SEEDS=2000 FROM=0 DRAW=0
	$(BIN)/python tests/live/chaos.py $(or $(FROM),0) $$(($(or $(FROM),0) + $(or $(SEEDS),2000))) $(or $(DRAW),0)

soak-memory: $(STAMP)  ## growth of a paper run's memory over months of its market: make soak-memory HOURS=500
	$(BIN)/python tests/faults/memory_soak.py $(or $(HOURS),500) $(or $(SPEED),40000)

soak-standby: $(STAMP)  ## processes of one run that lose each other: make soak-standby SEED=1 ROUNDS=50
	$(BIN)/python tests/standby/soak.py $(or $(SEED),1) $(or $(ROUNDS),50)

lock:  ## pin every dependency again, with hashes
	$(BIN)/python -m piptools compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
		--no-emit-find-links --extra data --extra live --extra report --extra test --extra traces --extra web --output-file requirements.lock setup.cfg requirements.build.in

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .import_linter_cache .hypothesis
