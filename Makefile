# The commands of this project. `make` alone lists them.
PYTHON ?= python3
VENV := .venv/bin
DATA ?= .data

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-reset test check format bench bench-provider screenshots

help: ## List the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@\2/p' $(MAKEFILE_LIST) | awk -F@ '{printf "%-20s %s\n", $$1, $$2}'

setup: ## Make .venv and install what running and testing need
	@$(PYTHON) tools/setup.py dev

demo: ## Install, then run everything on this machine; Ctrl-C ends it
	@$(PYTHON) tools/setup.py demo && exec $(VENV)/python -m unternehmenskonto.demo --data "$(DATA)"

demo-reset: ## Delete the data of the demonstration
	@$(PYTHON) tools/setup.py demo && exec $(VENV)/python -m unternehmenskonto.demo --data "$(DATA)" --reset

test: setup ## Run all tests on two cores; ARGS="tests/mailbox -x" narrows them
	@exec $(VENV)/pytest -n 2 --dist loadfile $(ARGS)

check: setup ## Check style, format, types and the import order
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/pytest -q tests/test_architecture.py

format: setup ## Bring the code into its format
	$(VENV)/ruff check --fix-only .
	$(VENV)/ruff format .

bench: setup ## Measure mailbox, code flow and memory (some minutes)
	@exec $(VENV)/python -m benchmarks

bench-provider: setup ## Measure the OpenID provider beside node and beside physical limits; ARGS="--rows code-flow"
	@exec $(VENV)/python -m benchmarks.provider $(ARGS)

mutation: setup ## Make mistakes in PART=provider and tell which no test notices; ARGS="--sample 300"
	@exec $(VENV)/python -m tools.mutation $(or $(PART),provider) $(ARGS)

screenshots: setup ## Take the pictures in docs/screenshots
	@exec $(VENV)/python tools/screenshots.py
