PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Without its byte code every start of otmon would compile all its modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help venv demo test test-long fuzz bench bench-elastic bench-live bench-policies preview lint types fmt clean

help:
	@echo "make demo       install everything into .venv and analyse captures/plant.pcap"
	@echo "make venv       only install (PYTHON=python3.12 chooses another Python, 3.11 to 3.13)"
	@echo "make test       the tests, under 8 minutes on two cores"
	@echo "make test-long  the tests that take longer"
	@echo "make fuzz       ten million spoilt frames through all of it, and decoders guided by coverage (an hour)"
	@echo "make bench      speed and memory, beside tshark"
	@echo "make bench-elastic delivery to a real Elasticsearch, beside the client's own loop"
	@echo "make preview    Kibana's dashboards as static pages in out/preview (needs a JDK, Maven and Chromium)"
	@echo "make bench-policies comparing, explaining and replaying policies of 10,000 rows"
	@echo "make bench-live the live sensor in network namespaces (as root)"
	@echo "make lint types style and types, as CI checks them"
	@echo "make fmt        format"
	@echo "make clean      remove what these made"

.venv/.installed: pyproject.toml
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make virtual environments. On Debian or Ubuntu:  apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "otmon needs Python 3.11 to 3.13; choose one:  make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) -e '.[all]'
	@touch $@

.venv/.tests: .venv/.installed
	$(PIP) -e '.[all,test]'
	@touch $@

venv: .venv/.installed

demo: .venv/.installed
	$(BIN)/otmon warm
	$(BIN)/otmon analyze captures/plant.pcap --policy rules/plant.yaml --out out/demo

# Kernels are compiled once before, so that not every worker does it. Three of them on two cores, because the tests of
# the live sensor and of Elasticsearch wait for others much of their time.
test: .venv/.tests
	$(BIN)/otmon warm
	$(BIN)/python -m pytest -m "not long" -n 3 --dist loadgroup --no-loadscope-reorder

test-long: .venv/.tests
	$(BIN)/otmon warm
	OTMON_THOROUGH=1 $(BIN)/python -m pytest -m "long or property" -n 2 --dist loadgroup

fuzz: .venv/.tests
	$(PIP) 'atheris>=3,<4'
	$(BIN)/otmon warm
	$(BIN)/python -m tests.fuzz.pdus --seconds 600
	$(BIN)/python -m tests.fuzz.frames --frames 10000000

bench: .venv/.installed
	$(BIN)/python -m benchmarks.run

bench-elastic: .venv/.tests
	$(BIN)/python -m benchmarks.elastic

bench-policies: .venv/.installed
	$(BIN)/python -m benchmarks.policies

bench-live: .venv/.tests
	$(BIN)/python -m benchmarks.live.run

preview: .venv/.tests
	$(BIN)/otmon warm
	$(BIN)/python -m tests.elastic.preview out/preview --pictures

lint: .venv/.tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.tests
	$(BIN)/mypy

fmt: .venv/.tests
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv out build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis benchmarks/data
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
