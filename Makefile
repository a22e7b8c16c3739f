# Two commands are enough: `make repro` and `make test`. Both set up the environment first, once.
PYTHON ?= python3.11
ARM ?= guided
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Slow tests first, and those of one fixture on one worker, as tests/conftest.py says.
define CHECKED
$(BIN)/ruff check .
$(BIN)/ruff format --check .
$(BIN)/mypy src
OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder
endef

.DEFAULT_GOAL := help
.PHONY: help env repro test quick format lock audit dag exp-table clean-scratch generator bars evidence approximations \
	groups baselines benchmarks tiny-decoder export improvement push repair report screenshots studies planted fuzz chaos slurm

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

env: .venv/.stamp ## create .venv with the locked requirements

.venv/.stamp: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement requirements.txt
	touch $@

repro: env ## run the whole pipeline, as far as anything has changed
	$(BIN)/dvc repro

test: env ## check style and types, run all tests
	$(CHECKED)

quick: env ## the same without the slow tests: a minute
	$(CHECKED) -m "not slow"

format: env ## format the code and apply safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: env ## resolve requirements.in to requirements.txt
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" requirements.in --output-file requirements.txt

audit: env ## look the locked requirements up for known vulnerabilities (needs a network; fails if it cannot)
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/pip install --quiet pip-audit
	$(BIN)/python -m benchmarks.audit .venv/audit/bin/pip-audit

dag: env ## print the stages' graph as Mermaid
	$(BIN)/dvc dag --mermaid

exp-table: env ## compare the experiments by what differs between them
	$(BIN)/dvc exp show --only-changed --no-pager

generator: env ## train the shipped generator anew (hours on a CPU; continues after an interruption)
	$${LAUNCH:-python} -m stages.train_generator
	$(BIN)/dvc commit --force train_generator

bars: env ## measure the shipped generator's bars on the development splits
	$(BIN)/python -m benchmarks.generator_bars

evidence: env ## all arms on ten fresh seeds at full and half budget; writes the README's table (resumable)
	$(BIN)/python -m benchmarks.evidence --seeds 100-109 --split test --out metrics/evidence.json
	$(BIN)/python -m benchmarks.table metrics/evidence.json --readme README.md

approximations: env ## what approximate feedback does to criterion, FID and accuracy on development seeds (resumable)
	$(BIN)/python -m benchmarks.evidence --seeds 0-4 --split val --out metrics/approximations.json \
		--arms dropout,entropy,entropy_stop_gradient,entropy_half_decoder,entropy_tiny_decoder

baselines: env ## long-tail baselines on five fresh seeds of the digits; writes the README's table (resumable)
	$(BIN)/python -m benchmarks.evidence --arms baselines --seeds 300-304 --split test --out metrics/baselines.json
	$(BIN)/python -m benchmarks.method_table metrics/baselines.json --readme README.md --name baselines

groups: env ## group methods on five fresh seeds of the three group benchmarks; writes the README's tables (resumable)
	for name in digits_waterbirds digits_fair; do \
		$(BIN)/python -m benchmarks.evidence --arms groups --seeds 300-304 --split test --set dataset=$$name \
			--out metrics/groups/$$name.json || exit; \
	done
	$(BIN)/python -m benchmarks.evidence --arms erm,group_dro,dfr,g_synaug,g_entropy,g_entropy_dro --seeds 300-304 \
		--split test --set dataset=digits_nico --out metrics/groups/digits_nico.json
	$(BIN)/python -m benchmarks.method_table metrics/groups/digits_waterbirds.json --readme README.md --name groups
	$(BIN)/python -m benchmarks.method_table metrics/groups/digits_waterbirds.json metrics/groups/digits_fair.json \
		metrics/groups/digits_nico.json --readme metrics/groups/README.md --name groups

benchmarks: env ## measure sampling and metrics on this machine (half an hour, leave it alone); writes benchmarks/results
	$(BIN)/python -m benchmarks.metrics --large --out benchmarks/results/metrics.json
	$(BIN)/python -m benchmarks.sampling --out benchmarks/results/sampling.json
	$(BIN)/python -m benchmarks.levers --out benchmarks/results/levers.json
	$(BIN)/python -m benchmarks.planning --out benchmarks/results/planning.json
	$(BIN)/python -m benchmarks.shards --out benchmarks/results/shards.json
	$(BIN)/python -m benchmarks.counted --out benchmarks/results/counted.json
	$(BIN)/python -m benchmarks.plot

tiny-decoder: env ## distil the shipped generator's decoder, for feedback decoder=tiny
	$(BIN)/python -m benchmarks.tiny_decoder

improvement: env ## write metrics/improvement.md: what balancing improved, class by class, and what is beyond noise
	$(BIN)/python -m commands.improvement

export: env ## copy a balanced set into plain folders under export/: make export ARM=guided
	$(BIN)/python -m commands.export $(ARM)

report: env ## one page about a run: make report [REVISION=commit-or-experiment] [COMPARE=another]
	$(BIN)/python -m commands.report $(REVISION) $(if $(COMPARE),--compare $(COMPARE))

screenshots: env report ## pictures of the report for the README (needs Chromium)
	$(BIN)/python -m tests.reporting.screenshots report/index.html docs

studies: env ## run studies and write their tables: make studies [STUDY="conditioning criteria"] (resumable, hours)
	$(BIN)/python -m commands.study $(STUDY)

planted: env ## spoil runs on purpose and see whether the diagnosis names each failure (ten minutes)
	$(BIN)/python -m commands.study planted
	$(BIN)/python -m benchmarks.planted

push: env ## send data of all commits, and all that the run-cache can restore, to the DVC remote
	$(BIN)/python -m commands.push

repair: env ## name damaged shards and put sound ones in their place
	$(BIN)/python -m commands.repair

fuzz: env ## ten minutes of damaged input for every parser, two at a time
	$(BIN)/python -m benchmarks.fuzz --seconds 600 --jobs 2 --out benchmarks/results/fuzz.json

chaos: env ## kill `dvc repro` at twenty random moments and compare the bytes (an hour)
	$(BIN)/python -m benchmarks.chaos --kills 20 --jobs 2 --out benchmarks/results/chaos.json

slurm: ## the pipeline under a one-machine SLURM with killed tasks (Debian, root)
	benchmarks/slurm.sh

clean-scratch: ## delete unfinished work of stages and benchmarks, and kept features
	rm -rf .dvc/tmp/scratch .dvc/tmp/features
