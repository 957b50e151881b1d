# Everything here works on a fresh machine with Python 3.11+ and make: environments are made below the checkout and reused.
PYTHON ?= python3
AIRFLOW_VERSION := 3.3.2
AIRFLOW_2_VERSION := 2.11.2
VENV := .venv
AIRFLOW_VENV := .venv-airflow
AIRFLOW_2_VENV := .venv-airflow-2
AUDIT_VENV := .venv-audit
CLIENT_VENV := .venv-client
BIN := $(VENV)/bin
# psycopg2 and asyncpg: the tests run Airflow on PostgreSQL; pytest: the loader is tested in Airflow's own environment
IN_AIRFLOW_VENV := apache-airflow==$(AIRFLOW_VERSION) psycopg2-binary asyncpg pytest --editable '.[airflow]'
IN_AIRFLOW_2_VENV := apache-airflow==$(AIRFLOW_2_VERSION) psycopg2-binary pytest --editable '.[airflow]'
# Tests that need no Airflow: they run on every core, and each worker starts its own databases and stores.
# They never run beside a lane of an Airflow, whose tests have time limits to keep.
LOCAL := tests/contract/test_suites.py tests/contract tests/unit tests/attacks tests/fuzz tests/schema tests/chaos tests/client tests/e2e
PYTEST := $(BIN)/python -m pytest -q --durations=10 $(COVERAGE)
export AIRFLOW_VENV AIRFLOW_2_VENV CLIENT_VENV

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

.PHONY: run
run: $(VENV)/.ready $(AIRFLOW_VENV)/.ready ## Start everything and follow the example to success; ONCE=1 ends there
	@$(BIN)/python -m devstack.run $(if $(ONCE),--once)

.PHONY: test
test: $(VENV)/.ready $(AIRFLOW_VENV)/.ready $(AIRFLOW_2_VENV)/.ready $(CLIENT_VENV)/.ready ## Everything that CI runs: check, test-local, test-airflow-3, test-airflow-2
	@$(MAKE) --no-print-directory --keep-going check test-local test-airflow-3 test-airflow-2

.PHONY: test-local
test-local: $(VENV)/.ready $(CLIENT_VENV)/.ready ## Every test that needs no Airflow: unit, contract on fakes, databases and S3, attacks, short fuzzing, schema, client
	$(PYTEST) $(LOCAL) --lane=local -n auto --dist worksteal

.PHONY: test-airflow-3
test-airflow-3: $(VENV)/.ready $(AIRFLOW_VENV)/.ready ## Every test on Airflow 3.3.2: loader, contract, end to end, a short chaos
	$(AIRFLOW_VENV)/bin/python -m pytest -c tests/airflow/pytest.ini tests/airflow -q
	$(PYTEST) tests/contract tests/e2e tests/chaos --lane=airflow

.PHONY: test-airflow-2
test-airflow-2: $(VENV)/.ready $(AIRFLOW_VENV)/.ready $(AIRFLOW_2_VENV)/.ready ## Every test on Airflow 2.11.2: loader, contract, end to end, a change of the version (which also starts 3.3.2)
	$(AIRFLOW_2_VENV)/bin/python -m pytest -c tests/airflow/pytest.ini tests/airflow -q
	$(PYTEST) tests/contract tests/e2e --lane=airflow_2

.PHONY: coverage
coverage: ## The tests of make test, one lane after the other, and which lines and branches they reach
	rm -f .coverage
	$(MAKE) test-local test-airflow-3 test-airflow-2 COVERAGE='--cov --cov-append --cov-report='
	$(BIN)/python -m coverage report --skip-covered

.PHONY: unit
unit: $(VENV)/.ready ## The unit tests, the attacks and a short fuzzing alone
	$(BIN)/python -m pytest tests/unit tests/attacks tests/fuzz -q -n auto --dist worksteal

.PHONY: contract
contract: $(VENV)/.ready $(AIRFLOW_VENV)/.ready $(AIRFLOW_2_VENV)/.ready ## The contract suites against the fakes and the real servers
	$(PYTEST) tests/contract/test_suites.py tests/contract --lane=local -n auto --dist worksteal
	$(PYTEST) tests/contract --lane=airflow
	$(PYTEST) tests/contract --lane=airflow_2

.PHONY: test-airflow-side
test-airflow-side: $(AIRFLOW_VENV)/.ready $(AIRFLOW_2_VENV)/.ready ## The tests of the DAG loader alone, in the environment of each Airflow
	$(AIRFLOW_VENV)/bin/python -m pytest -c tests/airflow/pytest.ini tests/airflow -q
	$(AIRFLOW_2_VENV)/bin/python -m pytest -c tests/airflow/pytest.ini tests/airflow -q

.PHONY: client
client: $(VENV)/.ready $(CLIENT_VENV)/.ready ## Generate a client from the OpenAPI document and call a service with it
	$(BIN)/python -m pytest tests/client -q

.PHONY: chaos-shutdown
chaos-shutdown: $(VENV)/.ready ## Send SIGTERM under load 100 times (5 in make test): no accepted request fails
	SHUTDOWNS=100 $(BIN)/python -m pytest tests/e2e/test_shutdown.py -q

.PHONY: check
check: $(VENV)/.ready ## Check format, lint rules, types, the direction of imports, and the language
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m devstack.idioms

.PHONY: format
format: $(VENV)/.ready ## Format the code and apply the fixes of the linter
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: docs
docs: $(VENV)/.ready ## Regenerate the generated pages of docs/
	$(BIN)/python -m devstack.docs

.PHONY: model
model: $(VENV)/.ready ## Compare 2,000 random histories of the whole service, with crashes and outages, with a plain model (60 in make test)
	SEQUENCES=2000 $(BIN)/python -m pytest tests/unit/usecases/test_whole_service.py -q

N ?= 20000
.PHONY: fuzz
fuzz: $(VENV)/.ready ## Send N nearly valid inputs to every parser of external text (10 to 200 each in make test); ARGS=--write writes benchmarks/fuzz.md, ARGS=--help lists the options
	@$(BIN)/python -m tests.fuzz --inputs $(N) $(ARGS)

.PHONY: schedules
schedules: $(VENV)/.ready ## Compare the fire times of every time zone from 1970 to 2037 with a plain model, for hours (24 zones, three years in make test)
	SCHEDULE_ORACLE=long $(BIN)/python -m pytest tests/unit/domain/test_schedule_oracle.py -q -n auto

.PHONY: yaml-suite
yaml-suite: $(VENV)/.ready ## Read every case of the YAML test suite (github.com/yaml/yaml-test-suite) in SUITE=path; not in make test
	@$(BIN)/python -m tests.yaml_suite $(SUITE)

.PHONY: bench
bench: $(VENV)/.ready $(AIRFLOW_VENV)/.ready ## Measure the figures in benchmarks/results.md
	$(BIN)/python -m benchmarks.run

.PHONY: bench-sync
bench-sync: $(VENV)/.ready $(AIRFLOW_VENV)/.ready ## Measure syncs of a thousand CODE workflows, for benchmarks/sync.md
	$(BIN)/python -m benchmarks.sync

.PHONY: bench-keys
bench-keys: $(VENV)/.ready ## Repeat 10,000 POSTs while a fifth of the answers is lost: nothing may be done twice
	@$(BIN)/python -m benchmarks.keys

.PHONY: bench-claims
bench-claims: $(VENV)/.ready ## Claim 100,000 subjects by four workers on each database, for benchmarks/claims.md
	$(BIN)/python -m benchmarks.claims

.PHONY: bench-mirror
bench-mirror: $(VENV)/.ready $(AIRFLOW_VENV)/.ready ## With 500 runs active: how soon a change in Airflow is told, and what that costs; writes benchmarks/mirror.md
	$(BIN)/python -m benchmarks.mirror

.PHONY: chaos
chaos: $(VENV)/.ready $(AIRFLOW_VENV)/.ready ## Kill, disconnect and delay every part for some minutes and write benchmarks/chaos.md (20 s in make test); ARGS=--help lists the options
	$(BIN)/python -m tests.chaos --write $(ARGS)

.PHONY: schema
schema: $(VENV)/.ready ## Send CASES=20000 requests generated from the OpenAPI document, with and without credentials, and write benchmarks/schema.md (300 in make test)
	$(BIN)/python -m tests.schema --cases $(or $(CASES),20000) --write

.PHONY: audit
audit: $(AUDIT_VENV)/.ready ## Compare every version that is fixed with the known advisories; OSV_URL=… asks another server of them
	@failed=; for file in constraints/*.txt; do echo "$$file"; \
		$(AUDIT_VENV)/bin/pip-audit --vulnerability-service osv $(if $(OSV_URL),--osv-url $(OSV_URL)) --timeout 30 --progress-spinner off \
			--strict --no-deps --disable-pip --requirement $$file || failed=1; done; test -z "$$failed"

.PHONY: lock
lock: ## Resolve the newest versions anew and write them to constraints/
	rm -rf $(VENV) $(AIRFLOW_VENV) $(AIRFLOW_2_VENV) $(AUDIT_VENV) $(CLIENT_VENV)
	$(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(PYTHON) -m venv $(AIRFLOW_VENV) && $(AIRFLOW_VENV)/bin/python -m pip install --quiet $(IN_AIRFLOW_VENV)
	$(PYTHON) -m venv $(AIRFLOW_2_VENV) && $(AIRFLOW_2_VENV)/bin/python -m pip install --quiet $(IN_AIRFLOW_2_VENV)
	$(BIN)/python -m pip freeze --exclude-editable > constraints/service.txt
	$(AIRFLOW_VENV)/bin/python -m pip freeze --exclude-editable > constraints/airflow-$(AIRFLOW_VERSION).txt
	$(AIRFLOW_2_VENV)/bin/python -m pip freeze --exclude-editable > constraints/airflow-$(AIRFLOW_2_VERSION).txt
	$(PYTHON) -m venv $(AUDIT_VENV) && $(AUDIT_VENV)/bin/python -m pip install --quiet pip-audit
	$(AUDIT_VENV)/bin/python -m pip freeze > constraints/audit.txt
	$(PYTHON) -m venv $(CLIENT_VENV) && $(CLIENT_VENV)/bin/python -m pip install --quiet openapi-python-client
	$(CLIENT_VENV)/bin/python -m pip freeze > constraints/client.txt
	@touch $(VENV)/.ready $(AIRFLOW_VENV)/.ready $(AIRFLOW_2_VENV)/.ready $(AUDIT_VENV)/.ready $(CLIENT_VENV)/.ready

.PHONY: clean
clean: ## Remove the environments and what make run left behind
	rm -rf $(VENV) $(AIRFLOW_VENV) $(AIRFLOW_2_VENV) $(AUDIT_VENV) $(CLIENT_VENV) .run

$(VENV)/.ready: pyproject.toml constraints/service.txt
	@echo "Making the service's environment in $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; set PYTHON=…" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints/service.txt --editable '.[dev]'
	@touch $@

$(AIRFLOW_VENV)/.ready: pyproject.toml constraints/airflow-$(AIRFLOW_VERSION).txt
	@echo "Making Airflow's environment in $(AIRFLOW_VENV) (about 200 MB)"
	@test -x $(AIRFLOW_VENV)/bin/python || $(PYTHON) -m venv $(AIRFLOW_VENV)
	@$(AIRFLOW_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints/airflow-$(AIRFLOW_VERSION).txt \
		$(IN_AIRFLOW_VENV)
	@touch $@

$(AIRFLOW_2_VENV)/.ready: pyproject.toml constraints/airflow-$(AIRFLOW_2_VERSION).txt
	@echo "Making Airflow 2.11's environment in $(AIRFLOW_2_VENV) (about 200 MB)"
	@test -x $(AIRFLOW_2_VENV)/bin/python || $(PYTHON) -m venv $(AIRFLOW_2_VENV)
	@$(AIRFLOW_2_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints/airflow-$(AIRFLOW_2_VERSION).txt \
		$(IN_AIRFLOW_2_VENV)
	@touch $@

$(CLIENT_VENV)/.ready: constraints/client.txt
	@echo "Making the environment of the client generator in $(CLIENT_VENV)"
	@test -x $(CLIENT_VENV)/bin/python || $(PYTHON) -m venv $(CLIENT_VENV)
	@$(CLIENT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints/client.txt openapi-python-client
	@touch $@

$(AUDIT_VENV)/.ready: constraints/audit.txt
	@test -x $(AUDIT_VENV)/bin/python || $(PYTHON) -m venv $(AUDIT_VENV)
	@$(AUDIT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints/audit.txt pip-audit
	@touch $@
