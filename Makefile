# make demo | test | test-full | lint | bench | schemas | clean.  Everything is installed into .venv from requirements.lock.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: demo test test-full test-packages lint bench lock schemas clean

demo: $(STAMP)
	$(BIN)/evcontrol demo

# What runs in real time, on sockets, screens and processes, has the machine to itself; the rest shares it.
REAL_TIME := $(addprefix tests/,api cli docs drivers history journal packaging simulators ui wire)

test: $(STAMP) test-packages
	$(BIN)/python -m pytest -m "not full" -n 2 --dist loadfile $(addprefix --ignore=,$(REAL_TIME))
	$(BIN)/python -m pytest -m "not full" $(REAL_TIME)

test-full: $(STAMP) test-packages
	$(BIN)/python -m pytest -n 2 --dist loadfile $(addprefix --ignore=,$(REAL_TIME))
	$(BIN)/python -m pytest $(REAL_TIME)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	for b in benchmarks/*.py; do $(BIN)/python $$b || exit 1; done

schemas: $(STAMP)
	mkdir -p config/schemas
	for s in recipe plant; do $(BIN)/evcontrol schema $$s > config/schemas/$$s.schema.json || exit 1; done

# Needs uv on the path; run after a change of the dependencies in pyproject.toml.
lock:
	uv pip compile --python-version 3.11 --generate-hashes --all-extras --no-emit-index-url --no-header -q -o requirements.lock pyproject.toml

# A window system and servers of others for the tests; asked for every time, since it is cheap and may be missing.
test-packages:
	sh scripts/system-packages $(PYTHON) tests
	sh scripts/node-opcua

$(STAMP): requirements.lock pyproject.toml scripts/system-packages
	sh scripts/system-packages $(PYTHON)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf .venv build dist
