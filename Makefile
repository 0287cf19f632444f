# The one door for contributors; .ci/run uses the same.
.DEFAULT_GOAL := help
PYTHON ?= python3
# Processes that test: more than the cores of a small machine, since many tests wait for processes to end or begin.
WORKERS ?= 4
BIN := .venv/bin
export PYTHON
DASHBOARD := src/picloud/dashboard/index.html
.PHONY: help setup system dashboard demo test check format docs bench screenshots soak clean

help:            ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: system .venv/.ready $(DASHBOARD)  ## .venv with everything, the dashboard, and the system packages the tests use

system:
	@scripts/system-packages

.venv/.ready: pyproject.toml scripts/venv
	@PYTHON=$(PYTHON) scripts/venv

dashboard: $(DASHBOARD)  ## build the dashboard into src/picloud/dashboard, where it has changed; needs node

$(DASHBOARD): scripts/dashboard docs/reference/openapi.json $(shell find docs -name '*.md') $(shell find dashboard -name node_modules -prune -o -type f -print 2>/dev/null)
	@scripts/dashboard

demo: setup      ## start a server of its own in .demo and run the image pipeline of examples/13
	@scripts/demo

test: .venv/.ready $(DASHBOARD)  ## every test, files in parallel; choose with ARGS="tests/unit -k name", debug with WORKERS=0
	@WORKERS=$(WORKERS) scripts/test $(ARGS)

check: .venv/.ready $(DASHBOARD)  ## formatters, linters, strict types, import rules, the quick house rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd dashboard && npm run --silent lint && npm test --silent
	$(BIN)/python -m pytest -q tests/house -m "not live"

format: .venv/.ready  ## let the formatter and the linter correct what they can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/.ready  ## write docs/reference anew from the code
	$(BIN)/python scripts/reference

bench: .venv/.ready  ## the table of bench/README.md, rivals beside it (ARGS="--only map,call")
	@$(BIN)/python -m bench.run $(ARGS)

screenshots: .venv/.ready $(DASHBOARD)  ## pictures of each page of the dashboard, of a server at work, into docs/images
	@$(BIN)/python scripts/screenshots

soak: .venv/.ready  ## 20,000 jobs and 100,000 messages while everything is killed at random, then the tests that make test leaves out
	@$(BIN)/python -m bench.soak $(ARGS)
	@$(BIN)/python -m bench.soak_queues $(ARGS)
	@$(BIN)/python -m pytest --full -m full

clean:           ## remove what setup and the tools made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis bench/.peers dist dashboard/node_modules src/picloud/dashboard
