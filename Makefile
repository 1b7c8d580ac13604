# Every verb of the project. Each sets up what it needs, on a fresh machine too.
PYTHON ?= python3.11
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: help install install-dev run test test-long lint format bench clean
.DEFAULT_GOAL := help

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: install it, or call make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

install: $(VENV)/.installed ## Create .venv and install requirements.txt, nothing else

install-dev: $(VENV)/.installed-dev ## Also what tests and lint need

run: install ## Try it: a small tenant, the bot and two Teams windows on this machine
	@$(PY) app.py sandbox --try

# Most tests wait for a tenant's answers, so three files at a time keep two processors busy. What kills programs or
# drives a browser runs alone, after the rest.
test: install-dev ## All tests; PostgreSQL and browser tests run where those are found
	$(PY) -m pytest -m "not slow and not browser" --numprocesses 3 --dist loadfile --ignore tests/faults
	$(PY) -m pytest -m "not slow and (browser or faults)"

test-long: install-dev ## The long fault and load runs as well
	$(PY) -m pytest

bench: install-dev ## Measure the bot against peers in the same run
	$(PY) -m tests.benchmarks

lint: install-dev ## Style, formatting, and the direction of imports
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(PY) -m tests.arrows

format: install-dev ## Let the formatter have its way
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

clean: ## Remove everything that was made, the sandbox's data too
	rm -rf $(VENV) .sandbox .cache .pytest_cache .ruff_cache .hypothesis out dist
