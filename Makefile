# One command each: `make demo` sets everything up and shows a timeline, `make test` sets everything up and tests it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
COMPILED := $(VENV)/.compiled
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile
PLUGINS := $(wildcard plugins/*/pyproject.toml)
WORKERS ?= 3

# Compile once for all commands and workers, and not into the source tree.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(abspath $(VENV))/pycache

.PHONY: help install demo test tests lint bench bench-identity record lock clean

help:
	@echo "make demo     a made-up company's tools become one customer timeline (SERVE=1 keeps them and the pages up)"
	@echo "make test     every check: style, types, room borders, tests on SQLite and PostgreSQL"
	@echo "make bench    measurements as ratios (benchmarks/README.md)"
	@echo "make bench-identity  who is who, beside other matchers (benchmarks/identity/README.md; ARGS=--quick)"
	@echo "make record   TOOL=zendesk CONFIG=hub.toml: a real account's exchanges as cassettes (docs/cassettes.md)"
	@echo "make install  only build $(VENV)"

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml $(PLUGINS)
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else "interaction-hub needs Python 3.11, 3.12 or 3.13; PYTHON=... chooses another than %d.%d" % v)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (once; takes a minute)"
	@$(PIP) --require-hashes -r .ci/pip.lock 2>/dev/null || true  # an older pip does as well, in twice the time
	@awk '/^[a-z]/ {n = 1 - n} {print > ("$(VENV)/half." n)}' n=0 requirements.lock
	@$(PIP) --require-hashes -r $(VENV)/half.0 & $(PIP) --require-hashes -r $(VENV)/half.1; second=$$?; wait $$! && exit $$second
	@$(PIP) --no-build-isolation -e . $(foreach p,$(PLUGINS),-e $(dir $(p)))
	@touch $@

$(COMPILED): $(STAMP)
	@$(BIN)/python -m pytest --collect-only -q >/dev/null 2>&1 || true  # `tests` shows what is wrong
	@touch $@

demo: install
	@$(BIN)/ihub demo $(if $(SERVE),--serve)

test: install
	@$(MAKE) --no-print-directory -j 2 lint tests

tests: $(COMPILED)  # what the tests load is compiled once, not by each worker for itself
	@$(BIN)/python -m pytest -q -n $(WORKERS) -o tmp_path_retention_policy=failed $(PYTEST)

lint: install
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/lint-imports --no-cache | tail -n 2
	@$(BIN)/mypy --no-error-summary

bench: install
	@$(BIN)/python -m benchmarks

bench-identity: install
	@$(BIN)/python -m benchmarks.identity $(ARGS)

record: install
	@$(BIN)/python -m hub.cli.record "$(TOOL)" --config "$(CONFIG)" --connection "$(CONNECTION)" --into "$(INTO)"

lock:
	uv pip compile --universal --generate-hashes --no-annotate --no-header \
	  --python-version 3.11 --extra test pyproject.toml -o requirements.lock
	echo pip | uv pip compile --universal --generate-hashes --no-annotate --no-header --python-version 3.11 -o .ci/pip.lock -

clean:
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
