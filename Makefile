# Every target builds .venv when it is missing or older than the pins.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help setup train test test-all exhaustive faults check bench dashboard science studies

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(READY)

setup: $(READY) ## build .venv with the pinned packages

train: $(READY) ## train 784-512-256-10 on MNIST (ARGS="activation=gelu" for more)
	$(BIN)/python train.py $(ARGS)

test: $(READY) ## the tests, in about six minutes on two cores (ARGS="-k xor" for some)
	$(BIN)/python -m pytest $(ARGS)

test-all: $(READY) ## these and the slow ones, every command typed in a fresh process
	$(BIN)/python -m pytest --fresh -m "not planted and not exhaustive and not part" $(ARGS)

exhaustive: $(READY) ## the trials of which test-all has a part: every kill, 2,000 wrong lines, long trainings
	$(BIN)/python -m pytest -m exhaustive $(ARGS)

faults: $(READY) ## plant 48 faults in a copy of the project, and see a test fail for each
	$(BIN)/python -m pytest -n 0 -m planted $(ARGS)

check: $(READY) ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	@if command -v npm >/dev/null; then npm ci --silent --no-audit --no-fund && npm run --silent check; \
	elif [ -n "$$GRADPATH_REQUIRE_NPM" ]; then echo "npm is missing: the dashboard's JavaScript is not checked"; exit 1; \
	else echo "npm is missing: the dashboard's JavaScript is not checked"; fi

bench: $(READY) ## what a step costs, against a plain loop and the stock pipeline
	$(BIN)/python scripts/benchmark.py

science: $(READY) ## the twenty published claims, computed and compared (two minutes)
	$(BIN)/python scripts/verify_science.py $(ARGS)

studies: $(READY) ## the chapter's claims as pages with pictures in docs/studies (ARGS=--quick for small ones)
	$(BIN)/python scripts/study.py --all --pages docs/studies $(ARGS)

dashboard: $(READY) ## TensorBoard over logs/ on http://127.0.0.1:6006 (ARGS="--port 6007" for another port)
	$(BIN)/tensorboard --logdir logs --host 127.0.0.1 --samples_per_plugin scalars=1000000 $(ARGS)
