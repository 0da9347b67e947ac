# Every target makes and uses its own .venv; CI runs these very targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TESTS ?=
DATA ?=
comma := ,
OUTPUT ?= bench_output
SHELL := bash

.PHONY: demo test lint types docs bench bench-fewshot bench-missing bench-systems
.PHONY: bench-scale bench-engines bench-zero-shot bench-zero-shot-encoder bench-defaults
.PHONY: bench-semi-supervised bench-emobed paper fuzz mutants clean
.DEFAULT_GOAL := help

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

# torch goes first, by itself: a later request for "torch" is then already met.
$(BIN)/python: constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check $$(grep '^torch' constraints.txt)
	@touch $@

$(VENV)/.demo: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[plot,progress]'
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

$(VENV)/.lint: $(VENV)/.demo
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[lint]'
	@touch $@

$(VENV)/.docs: $(VENV)/.demo
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

demo: $(VENV)/.demo  ## Train MTE and ask for unseen emotions; DATA=folder for real data
	$(if $(DATA),$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[audio$(comma)video]')
	$(BIN)/python examples/demo $(if $(DATA),--data $(DATA)) $(ARGS)

test: $(VENV)/.test  ## Run the tests with coverage
	$(BIN)/python -m pytest -n auto --dist worksteal --cov --cov-report=term --cov-fail-under=95 $(TESTS)

lint: $(VENV)/.lint  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.docs  ## Build the pages; a warning is an error
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

bench: $(VENV)/.test  ## Measure speed and memory as ratios; OUTPUT=folder for the tables
	@mkdir -p $(OUTPUT)
	$(BIN)/python benchmarks/engine.py --output $(OUTPUT) $(ARGS)
	set -o pipefail; for what in serving workers memory attention_memory precision \
	    label_vectors data; do \
	  $(BIN)/python benchmarks/$$what.py | tee $(OUTPUT)/bench_$$what.txt || exit 1; \
	done

bench-engines: $(VENV)/.test  ## Speed of all systems beside the straight way
	@mkdir -p $(OUTPUT)
	$(BIN)/python benchmarks/engines.py --output $(OUTPUT)/engines.csv $(ARGS)

bench-scale: $(VENV)/.test  ## Cost from a thousand utterances to a million
	$(BIN)/python benchmarks/scale.py --output $(OUTPUT) $(ARGS)

bench-fewshot: $(VENV)/.test  ## Learn new emotions from a few samples; DATA=folder too
	$(BIN)/python benchmarks/fewshot.py $(if $(DATA),--data $(DATA)) --output $(OUTPUT) $(ARGS)
	$(BIN)/python benchmarks/forgetting.py --output $(OUTPUT)
	$(if $(DATA),$(BIN)/python benchmarks/sequence.py --data $(DATA) --output $(OUTPUT))
	$(BIN)/python benchmarks/selection.py $(if $(DATA),--data $(DATA)) --output $(OUTPUT)
	$(BIN)/python benchmarks/projection.py | tee $(OUTPUT)/bench_projection.txt
	$(BIN)/python benchmarks/continual_cost.py | tee $(OUTPUT)/bench_continual_cost.txt

bench-missing: $(VENV)/.test  ## Take modalities away, with and without modality dropout; DATA=
	$(BIN)/python benchmarks/missing.py $(if $(DATA),--data $(DATA)) --output $(OUTPUT) $(ARGS)

bench-systems: $(VENV)/.test  ## All systems beside the linear model; DATA=folder for real data
	$(BIN)/python benchmarks/systems.py $(if $(DATA),--data $(DATA)) --output $(OUTPUT) $(ARGS)

bench-zero-shot: $(VENV)/.test  ## Emotions left out of training; DATA=folder for real data
	$(BIN)/python benchmarks/zero_shot.py $(if $(DATA),--data $(DATA)) --output $(OUTPUT) $(ARGS)

bench-defaults: $(VENV)/.test  ## MTE's defaults beside its presets; DATA=folder
	$(BIN)/python benchmarks/defaults.py --data $(DATA) --output $(OUTPUT) $(ARGS)

bench-zero-shot-encoder: $(VENV)/.test  ## What of MTE helps with unseen emotions; DATA=folder
	$(BIN)/python benchmarks/zero_shot_encoder.py --data $(DATA) --output $(OUTPUT) $(ARGS)

bench-semi-supervised: $(VENV)/.test  ## Learning curves with few labels; DATA=folder too
	$(BIN)/python benchmarks/semi_supervised.py $(if $(DATA),--data $(DATA)) --output $(OUTPUT) $(ARGS)

bench-emobed: $(VENV)/.test  ## What a modality of training does for another one; DATA= too
	$(BIN)/python benchmarks/emobed.py $(if $(DATA),--data $(DATA)) --output $(OUTPUT) $(ARGS)

WHAT ?= table1
paper: $(VENV)/.test  ## Tables and figures of the MTE paper; WHAT=table1 DATA= SYSTEMS= SEEDS= JOBS= SMALL=1
	$(BIN)/python -m sk_mer.paper $(WHAT) --output $(OUTPUT) $(if $(DATA),--data $(DATA)) \
	  $(if $(SYSTEMS),--systems $(SYSTEMS)) $(if $(SEEDS),--seeds $(SEEDS)) \
	  $(if $(JOBS),--jobs $(JOBS)) $(if $(SMALL),--small) $(ARGS)

paper-%:
	$(MAKE) paper WHAT=$*

fuzz: $(VENV)/.test  ## Damage thousands of files and read them
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	$(BIN)/python tests/fuzz_readers.py $(ARGS)

# One thread for each, because mutants are tried side by side.
mutants: $(VENV)/.test  ## Change the code in small ways and count what the tests find
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[mutants]'
	rm -rf mutants
	OMP_NUM_THREADS=1 $(BIN)/mutmut run $(ARGS)
	set -o pipefail; $(BIN)/mutmut results --all true \
	  | $(BIN)/python tests/mutation_score.py 0.9

clean:  ## Remove what the targets made
	rm -rf $(VENV) docs/_build docs/auto_examples docs/generated demo_output bench_output mutants
