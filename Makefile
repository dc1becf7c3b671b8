# One word for each thing to do; `make` alone lists them.

PYTHON ?= python3

BIN := .venv/bin
JUKECTL := $(BIN)/jukectl
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check --no-input
INSTALLED := .venv/.installed

MINI := build/mini
SCORES ?= # folder of scores for `make mini-music`, with a manifest.tsv; without it only Freedoom's are played
HOURS ?= 100
RECIPES := examples/mini
LEVELS := bottom middle top
CODEC_RUNS := $(LEVELS:%=$(MINI)/runs/vqvae-%)
PRIOR_RUNS := $(LEVELS:%=$(MINI)/runs/%)

# The bytecode of modules is kept, whatever the user's setting: tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo man site explorer page-tools test test-fast test-slow torture lint check parity bench gpu-check mini mini-music mini-codes mini-embed mini-scaling eval-mini ablations pictures clean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(INSTALLED) ## create .venv and install jukectl into it (once, and again when what it needs has changed)

$(INSTALLED): pyproject.toml constraints.txt hatch_build.py src/jukectl/native/step.c src/jukectl/native/threads.h src/jukectl/native/compiling.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'jukectl needs Python 3.11 or newer. Name one with: make setup PYTHON=python3.11' >&2; exit 1; }
	@test -x $(BIN)/pip || { echo 'Creating .venv'; $(PYTHON) -m venv .venv; } \
		|| { rm -rf .venv; echo '$(PYTHON) cannot create .venv. On Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	@echo 'Installing jukectl and what it needs into .venv, which takes some minutes the first time'
	@$(PIP) install -c constraints.txt -e '.[dev,docs]'
	@touch $@

demo: setup ## continue examples/riff.wav by 20 seconds of new music
	@echo 'Continuing examples/riff.wav, which takes some minutes. If it is interrupted, resume it with: make demo'
	@$(JUKECTL) continue examples/riff.wav --artist 'Nikola Whallon' --genre Electronic --seconds 20 --seed 7 --out demo
	@echo 'The riff, and after 12 seconds the new music, is in demo/audio/0.wav'

man: setup ## write the man page, from the help texts
	@mkdir -p build/man
	@$(BIN)/python -c 'from jukectl.cli.manual import man_page; print(man_page(), end="")' > build/man/jukectl.1
	@echo 'The man page is build/man/jukectl.1. Read it with: man build/man/jukectl.1'

site: setup ## build the site of the documentation; any warning is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo 'The site is in build/site. Open build/site/index.html'

test: setup page-tools ## run the tests, on all cores
	@$(BIN)/python -m pytest -rs $(PARALLEL) -m 'not slow and not alone'
	@$(BIN)/python -m pytest -rs -m alone

test-fast: setup ## run the tests of the core alone, in under two minutes: for the inner loop
	@$(BIN)/python -m pytest -x $(PARALLEL) -m 'not slow and not alone' $(CORE_TESTS)

# A file of tests stays on one core, so that its shared fixtures are made once. Tests marked alone measure time.

# They are begun in the order of tests/conftest.py, the longest first. A process that crashes ends the run, where xdist
# would start another and sometimes wait for ever.
PARALLEL := --numprocesses auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder --max-worker-restart 0
CORE_TESTS := $(addprefix tests/,codes lyrics midi nn plan prior sampling vqvae native test_imports.py test_stored_recipe.py)

test-slow: setup ## run the tests that take minutes each
	@$(BIN)/python -m pytest -rs -m slow

KILLS ?= 40
MUTANTS ?= 2000

torture: setup ## kill every command that writes, fill its disk (KILLS=40 of each), read damaged files (MUTANTS=2000 of each format)
	@JUKECTL_KILLS=$(KILLS) JUKECTL_MUTANTS=$(MUTANTS) $(BIN)/python -m pytest -rs $(PARALLEL) --dist load -o junit_family=xunit1 --junitxml build/torture.xml tests/reliability

lint: setup ## check style and types
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --quiet --check || { echo 'Not formatted as above. Mend it with: .venv/bin/ruff format' >&2; exit 1; }
	@$(BIN)/mypy

check: lint test ## all of lint and test

# The sample explorer's page, from TypeScript. The built page is committed: users and the package need no npm.

NODE_MODULES := explorer/node_modules/.package-lock.json

explorer: $(NODE_MODULES) ## build the page of the sample explorer again (needs npm)
	@cd explorer && npm run --silent check && npm run --silent build
	@echo 'The page is in src/jukectl/explorer/page. See it on made-up songs: $(BIN)/python tests/support/fake_site.py build/site'

$(NODE_MODULES): explorer/package.json explorer/package-lock.json
	@command -v npm >/dev/null || { echo 'The page is built by npm: apt install npm' >&2; exit 1; }
	@echo 'Fetching what the page is built with into explorer/node_modules'
	@cd explorer && npm ci --silent
	@touch $@

page-tools:
	@if command -v npm >/dev/null; then $(MAKE) --silent $(NODE_MODULES) \
		|| echo 'npm ci failed in explorer: the tests that need it are skipped' >&2; fi

# The port needs an older huggingface_hub than jukectl, and so a separate environment.

PARITY := build/parity-env
SEED ?= 0
MODELS ?= 1

parity: setup $(PARITY)/.installed ## compare jukectl with the independent port, on random models (SEED=7 MODELS=3)
	@OMP_NUM_THREADS=1 $(PARITY)/bin/python scripts/parity/live.py --seed $(SEED) --models $(MODELS)

bench: setup $(PARITY)/.installed ## measure a code against the memory's speed and the port, the codec, mini (on a machine at rest)
	@PYTHONPATH=src OMP_NUM_THREADS=1 $(PARITY)/bin/python benchmarks/step.py --json build/bench-step.json
	@$(BIN)/python benchmarks/codec.py --json build/bench-codec.json
	@$(JUKECTL) bench

gpu-check: ## check and measure decoding on a GPU, in under 8 minutes; needs torch with CUDA (PYTHON=python3)
	@PYTHONPATH=src $(PYTHON) benchmarks/gpu_check.py --json build/gpu-check.json --table build/gpu-check.md

$(PARITY)/.installed: scripts/parity/requirements.txt constraints.txt
	@echo 'Installing the port into $(PARITY)'
	@test -x $(PARITY)/bin/pip || { rm -rf $(PARITY); $(PYTHON) -m venv $(PARITY); }
	@$(PARITY)/bin/python -m pip -qq --disable-pip-version-check --no-input install -c constraints.txt -r scripts/parity/requirements.txt
	@touch $@

# Training of the embedded model from scratch. Every step resumes where it stopped; -j2 uses two cores.

mini: $(LEVELS:%=mini-prior-%) ## train the embedded model again, hours long (needs Debian 12 and fluidsynth)
	@$(JUKECTL) models assemble $(MINI)/model $(CODEC_RUNS) $(PRIOR_RUNS) --card $(RECIPES)/card.toml
	@echo 'The model is in $(MINI)/model. Try it with --model $(MINI)/model, take it into the package with: make mini-embed'

mini-music: setup ## make the music that mini is trained on (SCORES=scores HOURS=100)
	@command -v fluidsynth >/dev/null || { echo 'MIDI files are played by fluidsynth: apt install fluidsynth' >&2; exit 1; }
	@echo 'Fetching the music'
	@$(PIP) install -r $(RECIPES)/requirements.txt
	@mkdir -p $(MINI)
	@$(BIN)/python $(RECIPES)/fetch_music.py $(MINI)/music --hours $(HOURS) $(if $(SCORES),--scores $(SCORES)) > $(MINI)/held_out.txt
	@$(JUKECTL) data scan $(MINI)/music --keep-duplicates

mini-codec-%: mini-music
	@echo 'Training the $* level of the codec'
	@$(JUKECTL) train vqvae $(RECIPES)/vqvae-$*.toml

mini-codes: $(LEVELS:%=mini-codec-%)
	@echo 'Encoding the music'
	@$(JUKECTL) models assemble $(MINI)/codec $(CODEC_RUNS) --card $(RECIPES)/card.toml
	@$(JUKECTL) data encode $(MINI)/music/manifest.jsonl --out $(MINI)/codes --model $(MINI)/codec

mini-prior-top: mini-codes
	@echo 'Training the top prior'
	@$(JUKECTL) train prior $(RECIPES)/top.toml

mini-prior-%: mini-codes
	@echo 'Training the $* upsampler'
	@$(JUKECTL) train upsampler $(RECIPES)/$*.toml

mini-embed:
	@mkdir -p src/jukectl/assets/mini
	@cp $(MINI)/model/model.toml $(MINI)/model/*.safetensors src/jukectl/assets/mini/
	@du -ch src/jukectl/assets/mini/* | tail -n 1

mini-scaling: mini-codes ## train top priors of three sizes for a while, and plot bits a code against compute
	@for size in 128:2 192:3 256:4; do \
		$(JUKECTL) train prior $(RECIPES)/top.toml --set out=$(MINI)/runs/scaling-$${size%:*} \
			--set model.width=$${size%:*} --set model.heads=$${size#*:} --set train.steps=400 --set train.average=0.98 \
			--set train.learning_rate=0.0015 --set train.evaluate_every=50 --set data.validation_segments=24 || exit 1; \
	done
	@$(BIN)/python $(RECIPES)/scaling.py $(MINI)/runs/scaling-* --out docs/images/scaling.png

eval-mini: setup ## measure the embedded model on the songs it was not trained on (after make mini)
	@$(JUKECTL) eval reconstruction $(MINI)/music/manifest.jsonl --held-out $(RECIPES)/held_out.txt --seconds 30
	@$(JUKECTL) eval prior $(MINI)/codes --held-out $(RECIPES)/held_out.txt

ablations: setup ## train tiny codecs with one thing changed each, an hour long, and compare them (needs Debian 12)
	@echo 'Fetching the music'
	@$(PIP) install -r $(RECIPES)/requirements.txt
	@mkdir -p build/ablations
	@$(BIN)/python $(RECIPES)/fetch_music.py build/ablations/music --sources naev sectoid > build/ablations/held_out.txt
	@$(JUKECTL) data scan build/ablations/music
	@$(BIN)/python examples/ablations/train.py
	@$(BIN)/python examples/ablations/report.py docs/images | tee build/ablations/table.md

# Songs that the picture of the explorer shows; Debian's chromium takes it.

PICTURES := build/pictures

pictures: demo ## draw the pictures of the docs (needs chromium)
	@$(JUKECTL) plot demo --out docs/images/continuation.png
	@mkdir -p $(PICTURES)/songs
	@$(JUKECTL) continue examples/riff.wav --artist 'Nikola Whallon' --genre Electronic --seconds 20 --seed 7 --samples 2 --out '$(PICTURES)/songs/Riff, electronic'
	@$(JUKECTL) continue examples/riff.wav --artist Freedoom --genre Chiptune --seconds 12 --seed 3 --out '$(PICTURES)/songs/Riff on a small machine'
	@$(JUKECTL) sample --artist Freedoom --genre Orchestral --seconds 15 --seed 5 --out '$(PICTURES)/songs/Strings from nothing'
	@$(JUKECTL) sample --artist 'Sectoid:0.5+Zeropage:0.5' --genre Metal --seconds 10 --seed 2 --out '$(PICTURES)/songs/Between two voices'
	@$(JUKECTL) explore $(PICTURES)/songs --out $(PICTURES)/site --title 'jukectl songs'
	@$(BIN)/python scripts/screenshot.py $(PICTURES)/site docs/images/explorer.png --song 'Riff, electronic' --at 15

clean: ## remove the demo and what tools leave behind; .venv and build stay
	@rm -rf demo dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find src tests examples scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
