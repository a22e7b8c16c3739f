# Two commands are enough: `make repro` and `make test`. Both set up the environment first, once.
# The first Python that fits; another: make PYTHON=/path/to/python ...
FITS = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3 python; do \
	$$python -c '$(FITS)' 2>/dev/null && echo $$python && break; done)
ARM ?= guided
DROP ?= (base|bound)\.
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Slow tests first, and those of one fixture on one worker, as tests/conftest.py says.
define CHECKED
$(BIN)/ruff check .
$(BIN)/ruff format --check .
$(BIN)/mypy src
$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder
endef

.DEFAULT_GOAL := help
.PHONY: help env repro test quick format lock deps audit dag exp-table clean-scratch generator fashion-generator tiny-decoder bars \
	benchmarks check export improvement push repair verify report screenshots studies planted fuzz chaos slurm

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

env: .venv/.stamp ## create .venv with the locked requirements; CPU=<address of PyTorch's index of CPU builds> for a small one

.venv/.stamp: requirements.txt
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11, 3.12 or 3.13 is found; install one, or say" \
		"make PYTHON=/path/to/python $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv .venv
	$(if $(CPU),grep -Ev '^(cuda|nvidia|triton)',cat) requirements.txt >.venv/requirements.txt
	$(BIN)/pip install --quiet $(if $(CPU),--extra-index-url $(CPU)) --requirement .venv/requirements.txt
	touch $@

repro: env ## run the whole pipeline, as far as anything has changed
	@git rev-parse --git-dir >/dev/null || { echo "error: this copy has no git history, by which DVC tells results" \
		"apart; clone it, or make one: git init && git add --all && git commit --message start"; exit 2; }
	$(BIN)/dvc repro

test: env ## check style and types, run all tests
	$(CHECKED)

quick: env ## the same without the slow tests: a few minutes
	$(CHECKED) -m "not slow"

format: env ## format the code and apply safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: env ## resolve requirements.in to requirements.txt
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" requirements.in --output-file requirements.txt

check: env ## what a data set would give: make check [DATASET=folder] [GENERATOR=sd21_unclip]
	$(BIN)/python -m commands.check $(if $(DATASET),--dataset $(DATASET)) $(if $(GENERATOR),--generator $(GENERATOR))

deps: env ## write into dvc.yaml which files of code each stage imports
	$(BIN)/python -m commands.deps

audit: env ## look the locked requirements up for known vulnerabilities (needs a network; fails if it cannot)
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/pip install --quiet pip-audit
	$(BIN)/python -m tests.long.audit .venv/audit/bin/pip-audit

dag: env ## print the stages' graph as Mermaid
	$(BIN)/dvc dag --mermaid

exp-table: env ## compare experiments by what differs: make exp-table [DROP='more|columns']
	COLUMNS=$${COLUMNS:-160} $(BIN)/dvc exp show --only-changed --hide-workspace --no-pager \
		--drop '$(DROP)|Created|State|Executor|(data|metrics|models|prompts|src|stages)/.*'

generator: env ## train the shipped generator anew (hours on a CPU; continues after an interruption)
	$${LAUNCH:-python} -m stages.train_generator
	$(BIN)/dvc commit --force train_generator

fashion-generator: env ## train that of fashion_lt anew, from Fashion-MNIST's files in data/raw/fashion_lt (hours, as generator)
	$${LAUNCH:-python} -m stages.train_fashion_generator
	$(BIN)/dvc commit --force train_fashion_generator

tiny-decoder: env ## distil the shipped generator's decoder anew, for feedback decoder=tiny (minutes)
	$${LAUNCH:-python} -m stages.train_tiny_decoder
	$(BIN)/dvc commit --force train_tiny_decoder

bars: env ## measure a shipped generator's bars on the development splits: make bars [GENERATOR=tiny_fashion]
	$(BIN)/python -m benchmarks.generator_bars $(if $(GENERATOR),--generator $(GENERATOR))

benchmarks: env ## measure sampling and metrics on this machine (half an hour, leave it alone); writes benchmarks/results
	$(BIN)/python -m benchmarks.metrics --large --out benchmarks/results/metrics.json
	$(BIN)/python -m benchmarks.sampling --out benchmarks/results/sampling.json
	$(BIN)/python -m benchmarks.levers --out benchmarks/results/levers.json
	$(BIN)/python -m benchmarks.planning --out benchmarks/results/planning.json
	$(BIN)/python -m benchmarks.shards --out benchmarks/results/shards.json
	$(BIN)/python -m benchmarks.counted --out benchmarks/results/counted.json
	$(BIN)/python -m benchmarks.false_alarms --out benchmarks/results/false_alarms.json
	$(BIN)/python -m benchmarks.plot

improvement: env ## write metrics/improvement.md: what balancing improved, class by class, and what is beyond noise
	$(BIN)/python -m commands.improvement

export: env ## copy a balanced set into plain folders under export/: make export ARM=guided
	$(BIN)/python -m commands.export $(ARM)

report: env ## one page about a run: make report [REVISION=commit-or-experiment] [COMPARE=another]
	$(BIN)/python -m commands.report $(REVISION) $(if $(COMPARE),--compare $(COMPARE))

screenshots: env report ## pictures of the report for docs/report.md (needs Chromium)
	$(BIN)/python -m tests.reporting.screenshots report/index.html docs

studies: env ## run studies and write their tables: make studies [STUDY="evidence criteria"] (resumable, hours)
	$(BIN)/python -m commands.study $(STUDY)

planted: env ## spoil runs on purpose and see whether the diagnosis names each failure (ten minutes)
	$(BIN)/python -m commands.study planted
	$(BIN)/python -m benchmarks.planted

verify: repro ## compare this machine's results with the committed ones, byte for byte
	$(BIN)/python -m commands.verify

push: env ## send data of all commits, and all that the run-cache can restore, to the DVC remote
	$(BIN)/python -m commands.push

repair: env ## name damaged shards and put sound ones in their place
	$(BIN)/python -m commands.repair

fuzz: env ## ten minutes of damaged input for every parser, two at a time
	$(BIN)/python -m tests.long.fuzz --seconds 600 --jobs 2 --out tests/long/results/fuzz.json

chaos: env ## kill `dvc repro` at twenty random moments and compare the bytes (an hour)
	$(BIN)/python -m tests.long.chaos --kills 20 --jobs 2 --out tests/long/results/chaos.json

slurm: ## the pipeline under a one-machine SLURM with killed tasks (Debian, root)
	tests/long/slurm.sh

clean-scratch: ## delete unfinished work of stages and benchmarks, and kept features
	rm -rf .dvc/tmp/scratch .dvc/tmp/features
