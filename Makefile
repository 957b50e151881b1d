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
# what needs no Airflow runs on every core; one real Airflow at a time is enough for a machine
BUT_AIRFLOW := --ignore tests/contract/test_airflow.py
export AIRFLOW_VENV AIRFLOW_2_VENV CLIENT_VENV

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

.PHONY: run
run: $(VENV)/.ready $(AIRFLOW_VENV)/.ready ## Start everything and follow the example to success; ONCE=1 ends there
	@$(BIN)/python -m devstack.run $(if $(ONCE),--once)

.PHONY: test
test: check $(AIRFLOW_VENV)/.ready $(AIRFLOW_2_VENV)/.ready test-airflow-side client ## Everything that CI runs: checks, then every test on real servers
	$(BIN)/python -m pytest tests/contract/test_suites.py tests/contract tests/unit tests/attacks tests/fuzz $(BUT_AIRFLOW) -q -n auto --dist worksteal \
		--durations=8 --cov --cov-report=
	$(BIN)/python -m pytest tests/contract/test_airflow.py tests/e2e tests/chaos tests/schema --durations=20 --cov --cov-append --cov-report=term:skip-covered

.PHONY: unit
unit: $(VENV)/.ready ## The unit tests, the attacks and a short fuzzing alone, in seconds
	$(BIN)/python -m pytest tests/unit tests/attacks tests/fuzz -q -n auto --dist worksteal

.PHONY: contract
contract: $(VENV)/.ready $(AIRFLOW_VENV)/.ready $(AIRFLOW_2_VENV)/.ready ## The contract suites against the fakes and the real servers
	$(BIN)/python -m pytest tests/contract/test_suites.py tests/contract $(BUT_AIRFLOW) -q -n auto --dist worksteal --durations=8
	$(BIN)/python -m pytest tests/contract/test_airflow.py --durations=8

.PHONY: test-airflow-side
test-airflow-side: $(AIRFLOW_VENV)/.ready $(AIRFLOW_2_VENV)/.ready ## The tests of the DAG loader, in the environment of each Airflow
	$(AIRFLOW_VENV)/bin/python -m pytest -c tests/airflow/pytest.ini tests/airflow -q
	$(AIRFLOW_2_VENV)/bin/python -m pytest -c tests/airflow/pytest.ini tests/airflow -q

.PHONY: client
client: $(VENV)/.ready $(CLIENT_VENV)/.ready ## Generate a client from the OpenAPI document and call a service with it
	$(BIN)/python -m pytest tests/client -q

.PHONY: chaos-shutdown
chaos-shutdown: $(VENV)/.ready ## A hundred times SIGTERM under load: no accepted request fails
	SHUTDOWNS=100 $(BIN)/python -m pytest tests/e2e/test_shutdown.py -q

.PHONY: check
check: $(VENV)/.ready ## Format, lint, types, import arrows, plain English
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m devstack.idioms

.PHONY: format
format: $(VENV)/.ready ## Format and fix what can be fixed by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: docs
docs: $(VENV)/.ready ## Write the generated pages of docs/ anew
	$(BIN)/python -m devstack.docs

.PHONY: model
model: $(VENV)/.ready ## 2,000 random histories of the whole service with deaths and outages, against a plain model
	SEQUENCES=2000 $(BIN)/python -m pytest tests/unit/usecases/test_whole_service.py -q

N ?= 20000
.PHONY: fuzz
fuzz: $(VENV)/.ready ## N nearly valid inputs to whatever reads text from outside; ARGS=--write writes benchmarks/fuzz.md, ARGS=--help tells more
	@$(BIN)/python -m tests.fuzz --inputs $(N) $(ARGS)

.PHONY: yaml-suite
yaml-suite: $(VENV)/.ready ## SUITE=path: read every case of a checkout of the YAML test suite (github.com/yaml/yaml-test-suite)
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
chaos: $(VENV)/.ready $(AIRFLOW_VENV)/.ready ## Kill, cut and delay everything for some minutes, count what came of it, write benchmarks/chaos.md; ARGS=--help tells more
	$(BIN)/python -m tests.chaos --write $(ARGS)

.PHONY: schema
schema: $(VENV)/.ready ## CASES=20000 requests made from the OpenAPI document, with and without credentials; writes benchmarks/schema.md
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
