# Each target creates and fills .venv by itself; only Python >= 3.11, make and a package registry are needed.
PYTHON ?= python3
# Tests run in so many processes, each with a broker and a ClickHouse of its own. Faults are about time: two of them.
JOBS ?= 3
test-faults test-kafka: JOBS = 2
PARALLEL = -n $(JOBS) --dist loadfile --no-loadscope-reorder
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-faults test-kafka test-contract test-attack lint types fmt lock schema bench-stream bench-api bench-recommend bench-growth clean

demo: $(READY)       ## the whole stack on this machine with demo data; ONCE=1 checks the totals and exits
	$(BIN)/rapport demo $(if $(ONCE),--once)

test: $(READY)       ## unit, engine, broker, end-to-end tests and the quick faults
	$(BIN)/pytest -m "not slow" $(PARALLEL) $(ARGS)

test-faults: $(READY) ## every fault, seeded: kill -9, zombies, cut connections, poison
	$(BIN)/pytest tests/faults $(PARALLEL) $(ARGS)

test-kafka: $(READY) ## broker and fault tests on Apache Kafka itself (needs Java 17 and Maven)
	RAPPORT_TEST_BROKER=kafka $(BIN)/pytest tests/broker tests/faults tests/kafka $(PARALLEL) $(ARGS)

test-contract: $(READY) ## the API against its own OpenAPI document at length: some ten minutes
	$(BIN)/pytest -m slow tests/api/test_contract.py $(ARGS)

# Delays are measured before the attacks: afterwards their stack is still busy.
test-attack: $(READY) ## attacks on a running stack, beside a neighbour whose answers are watched; ARGS=--quick for a part
	$(BIN)/pytest tests/api/test_neighbours.py
	$(BIN)/pytest tests/attack $(ARGS)

lint: $(READY)
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports

types: $(READY)
	$(BIN)/mypy

fmt: $(READY)
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

schema: $(READY)     ## regenerate sql/schema.sql and docs/asyncapi.json
	$(BIN)/rapport migrate --write-schema sql/schema.sql && $(BIN)/rapport events asyncapi > docs/asyncapi.json

bench-stream: $(READY) ## BROKER=kafka for Apache Kafka
	$(BIN)/python -m benchmarks.stream --broker $(or $(BROKER),embedded) $(ARGS)

bench-api: $(READY)  ## requests/s and latencies of the API; BROKER=kafka for Apache Kafka
	$(BIN)/python -m benchmarks.api --broker $(or $(BROKER),embedded) $(ARGS)

bench-recommend: $(READY) ## decisions/s and latencies of Recommend; BROKER=kafka for Apache Kafka
	$(BIN)/python -m benchmarks.recommend --broker $(or $(BROKER),embedded) $(ARGS)

bench-growth: $(READY) ## events/s and latencies up to 20 million stored events; BROKER=kafka for Apache Kafka
	$(BIN)/python -m benchmarks.growth --broker $(or $(BROKER),embedded) $(ARGS)

lock: $(READY)       ## pin every dependency with hashes: all of them, and what the image needs to run and to build
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --upgrade -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --constraints requirements.lock -o requirements.runtime.lock
	echo hatchling | $(BIN)/uv pip compile - --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --constraints requirements.lock -o requirements.build.lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Rapport needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

clean:
	rm -rf $(VENV) build .rapport
