# Two commands to begin with: `make demo` and `make test`. `make help` lists the rest.
PY := .venv/bin/python
UV ?= $(or $(shell command -v uv),.venv/bin/uv)
ONCE ?=
ROUNDS ?= 3
MINUTES ?= 10
WORKERS ?= 3 # of pytest: one more than cores, since tests on Kafka wait much
ARGS ?=
ROWS ?=
unexport PYTHONDONTWRITEBYTECODE # a run starts hundreds of processes, and each would compile all of it anew
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-header pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help demo test lint lint-types lint-rest bench bench-setup chaos soak drills docs dashboards prometheus lock clean prepare prepare-test

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F '\t' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: prepare ## Play an invented region through a real hub (ONCE=1: end by itself)
	@$(PY) -m samenloop.cli demo $(if $(filter-out 0,$(ONCE)),--once)

test: lint ## Run every check and every test, the real broker and registry included (ARGS: for pytest, WORKERS=n)
	@$(PY) -m pytest -n $(WORKERS) $(ARGS)

lint: prepare-test ## Check style, types, import directions and declared dependencies
	@$(MAKE) --no-print-directory -j2 lint-types lint-rest

lint-types: # as long as all the rest, and on one core
	@$(PY) -m mypy

lint-rest:
	@$(PY) -m ruff check --quiet .
	@$(PY) -m ruff format --quiet --check .
	@.venv/bin/lint-imports --cache-dir .import_linter_cache
	@.venv/bin/deptry .

bench: prepare-test ## Measure; prints a table and writes build/bench.json (ROWS=: patterns, quoted)
	@$(PY) -m benchmarks $(foreach row,$(ROWS),'$(row)') $(ARGS)

bench-setup: ## Install the peers that bench compares with (Debian's PostgreSQL and PostGIS), as root
	@benchmarks/setup.sh

chaos: prepare-test ## Kill, freeze and restart everything for ROUNDS=n rounds; prints a table
	@$(PY) -m tests.chaos --rounds $(ROUNDS)

soak: prepare-test ## Play a day of a nation in MINUTES=n with all that goes wrong; prints the tables of the capacity page
	@$(PY) -m benchmarks.soak --minutes $(MINUTES) $(ARGS)

docs: prepare-test ## Build the documentation as a site into build/site; ends with 1 on any dead link
	@$(PY) docs/site.py

dashboards: prepare-test ## Write deploy/grafana/dashboards and their page anew
	@$(PY) -m deploy.grafana
	@$(PY) docs/generate.py

drills: prepare-test ## Break a real hub in five ways and see that the right alerts fire and end
	@$(PY) -m pytest tests/deploy/prometheus/test_drills.py $(ARGS)

prometheus: ## Fetch Debian's Prometheus for the demo, promtool and amtool (into the cache, nothing is installed)
	@deploy/prometheus/fetch.sh

lock: ## Resolve both lock files anew (needs uv)
	@command -v $(UV) >/dev/null || { echo "uv: not found. Install it: .venv/bin/python -m pip install uv" >&2; exit 1; }
	@$(COMPILE) --extra local --extra build --extra bench --extra docs --extra otel --extra dev --output-file requirements-dev.lock
	@$(COMPILE) --extra local --extra build --constraints requirements-dev.lock --no-annotate --output-file requirements.lock

clean: ## Remove what was built and installed here, .venv included
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

prepare:
	@deploy/prepare.sh demo

prepare-test:
	@deploy/prepare.sh test
