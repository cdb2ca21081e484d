# Everything a newcomer needs: `make demo`, `make test`. Each sets up what it needs on a bare machine.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check bench soak soak-live clean

demo: $(VENV)/.demo
	$(BIN)/nearmiss demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m tests.never_who

bench: $(VENV)/.dev
	$(BIN)/nearmiss bench

soak: $(VENV)/.dev
	$(BIN)/python -m tests.soak

soak-live: $(VENV)/.dev
	$(BIN)/python -m tests.soak.live

$(VENV)/.demo: pyproject.toml constraints.txt setup.sh
	PYTHON=$(PYTHON) sh setup.sh demo

$(VENV)/.dev: pyproject.toml constraints.txt setup.sh
	PYTHON=$(PYTHON) sh setup.sh dev

clean:
	rm -rf $(VENV) demo out
