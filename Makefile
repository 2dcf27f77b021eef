# The verbs of this repository. `make help` lists them.

PYTHON ?= python3
# Found now: the path below must not lead to the environment's own.
PYTHON := $(shell command -v $(PYTHON))
# Some crates build C with cmake: the one that pip installs is found by them, too.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Python keeps what it has compiled, whatever the environment says: a thousand processes of the tests
# would compile the same packages again.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
BIN := $(VENV)/bin
# Every CPython from 3.11 up that is found: the suite runs on each of them, with one wheel.
PYTHONS ?= $(shell $(PYTHON) scripts/find_pythons.py)
TRANSPORT ?= websocket
RUST := $(shell git ls-files 'rust/*.rs' 'rust/*.toml' Cargo.toml Cargo.lock 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help install demo dev release test checks tests prepare pythons build-tests test-rust test-python test-browsers test-real-time test-pythons test-far lint lint-rust lint-python format bench bench-core bench-load bench-phone bench-survival bench-turns bench-webrtc fuzz faults docs wheels clean

help: ## List the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

# The pip of the interpreter installs into the environment. To give the environment a pip by ensurepip
# takes five seconds more: that is done where the interpreter has no pip, or one before 22.3.
INSTALL_TOOLS := install --quiet --disable-pip-version-check --no-compile pip 'cmake>=3.24' 'maturin>=1.9,<2' 'uv>=0.9'

# Several steps, so that a change of the Rust code does not install anything again, and what needs
# nothing of each other can be done side by side.
$(VENV)/.tools: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "stapes needs Python 3.11 or newer")'
	$(PYTHON) -m venv --without-pip $(VENV)
	$(PYTHON) -m pip --python $(BIN)/python $(INSTALL_TOOLS) 2>/dev/null || \
		{ $(BIN)/python -m ensurepip > /dev/null && $(BIN)/python -m pip $(INSTALL_TOOLS); }
	@touch $@

$(VENV)/.demo: $(VENV)/.tools
	$(BIN)/python scripts/install_extras.py demo
	@# Python compiles what it imports for the first time: it may do so while cargo leaves it time.
	@nice -n 19 $(BIN)/python -c 'import agents.realtime, matplotlib.pyplot, numpy, rich, typer'
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(BIN)/python scripts/install_extras.py dev
	-$(BIN)/python -m pyright --version
	@touch $@

# One optimised development build serves the demo and the tests: with the features that the tests
# switch on, nothing is compiled twice.
ALIKE := --features stapes-py/workspace
# With what maturin tells pyo3's build script.
CARGO := scripts/cargo.sh
python/stapes/_core.abi3.so: $(RUST) | $(VENV)/.tools
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --skip-install $(ALIKE)
	@touch $@

$(VENV)/.installed: $(VENV)/.demo python/stapes/_core.abi3.so
	$(BIN)/python scripts/link_package.py
	@touch $@

install: $(VENV)/.installed ## Build, and install into .venv: .venv/bin/stapes serve examples/front_desk/agent.py

# What it needs is installed while the extension module is built.
demo: ## Hold a spoken conversation: no key, no network, no server to install
	$(MAKE) --no-print-directory PYTHON=$(PYTHON) --jobs=2 install
	$(BIN)/python -m stapes.cli demo --examples examples --transport $(TRANSPORT)

dev: $(VENV)/.dev $(VENV)/.installed ## Set up for development (in .venv)

test: ## Check and test everything
	$(MAKE) PYTHON=$(PYTHON) checks
	$(MAKE) PYTHON=$(PYTHON) tests

# What installs, builds and checks goes side by side. Cargo works on one thing at a time: a job more
# than that keeps two cores at work.
checks:
	$(MAKE) PYTHON=$(PYTHON) --jobs=4 prepare lint build-tests

# What tests has the machine for itself.
tests:
	$(MAKE) PYTHON=$(PYTHON) test-rust
	$(MAKE) PYTHON=$(PYTHON) test-python
	$(MAKE) PYTHON=$(PYTHON) test-pythons

prepare: dev pythons

# Tests of the benchmarks run the programs.
build-tests: dev
	$(CARGO) test --quiet --workspace --no-run $(ALIKE)
	$(CARGO) build --quiet --workspace --bins $(ALIKE)

test-rust: build-tests
	$(CARGO) test --quiet --workspace $(ALIKE)

# Tests wait for processes and sockets: three at once take three quarters of two cores, and what waits for
# a clock keeps its time. What takes real time must not share the machine with what keeps it busy: three
# such tests at once, and one browser among them, take half of two cores.
test-python: dev
	$(BIN)/python -m pytest --numprocesses=3 --dist=loadfile -m 'not real_time and not far'
	$(BIN)/python scripts/test_oldest_sdk.py --numprocesses=4 --dist=loadfile
	$(MAKE) PYTHON=$(PYTHON) --jobs=2 --output-sync test-browsers test-real-time

test-browsers: dev
	$(BIN)/python -m pytest -m 'real_time and browser and not far'

test-real-time: dev
	$(BIN)/python -m pytest --numprocesses=2 --dist=worksteal -m 'real_time and not browser and not far'

pythons: $(VENV)/.tools
	$(BIN)/python scripts/test_on_pythons.py --prepare $(PYTHONS)

test-pythons: dev
	$(BIN)/python scripts/test_on_pythons.py $(PYTHONS)

# Each part installs its own peer into a folder that is kept, and skips where it cannot.
test-far: dev ## Talk to software of others: a real Asterisk, serializers of Pipecat, OpenAI's SDKs (minutes; FAR_CACHE keeps them)
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile -m far tests/far

lint: lint-rust lint-python ## Check formats, lints, types and stubs

lint-rust: dev
	cargo fmt --all --check
	$(CARGO) clippy --quiet --workspace --all-targets $(ALIKE) -- --deny warnings
	$(CARGO) clippy --quiet --package stapes-core --no-default-features -- --deny warnings
	$(CARGO) clippy --quiet --package stapes-py --no-default-features --no-deps -- --deny warnings

lint-python: dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest stapes._core --mypy-config-file scripts/stubtest.ini

format: dev ## Format everything
	cargo fmt --all
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# What is measured is what is released. It takes the place of the development build until the Rust
# code changes.
release: dev
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --release --skip-install
	@touch python/stapes/_core.abi3.so

bench: release ## Run the benchmarks of sound, and write docs/audio.md
	$(BIN)/python -m pytest benches --benchmark-only
	cargo bench --workspace
	$(BIN)/python benches/audio/page.py

# In an environment of its own, so that what is published is made by what `wheels` names alone.
wheels: $(VENV)/.tools ## Build the wheel and the sdist that are published, and try the wheel on each Python (ten minutes)
	$(PYTHON) -m venv .venv-wheels
	.venv-wheels/bin/python -m pip install --quiet --disable-pip-version-check $$($(PYTHON) scripts/wheels/tools.py)
	.venv-wheels/bin/python scripts/wheels/build.py $(PYTHONS)

LOAD ?=
bench-load: release ## Compare realtime clients under load, on two idle cores (half an hour)
	cargo build --release -p stapes-load
	-npm --prefix benches/load/javascript ci --no-audit --no-fund
	$(BIN)/python -m benches.load $(LOAD)

# Two builds are compared with `make bench-core CORE="--against DIR"`, where DIR is another checkout.
CORE ?=
bench-core: dev ## Count the instructions of a scripted conversation in the core (needs valgrind)
	$(BIN)/python -m benches.core $(CORE)

SURVIVAL ?=
bench-survival: release ## Measure lost, replaced and restarted connections: numbers of docs/explanation/survival.md (ten minutes)
	cargo build --release -p stapes-load
	$(BIN)/python -m benches.survival $(SURVIVAL)

PHONE ?=
bench-phone: release ## Measure phone calls with both ends, on two idle cores: docs/phone-benchmarks.md (a quarter of an hour)
	cargo build --release -p stapes-load
	cargo build --release --manifest-path benches/phone/load/Cargo.toml
	$(BIN)/python -m benches.phone $(PHONE)

bench-turns: dev ## Measure turn-taking by ear, with voicebench against stapes serve: docs/turn-taking.md (two minutes)
	$(BIN)/python -m benches.turn_taking

WEBRTC ?=
bench-webrtc: release ## Compare WebRTC calls with aiortc's, and those of pages with both ends, on two idle cores (twenty minutes)
	cargo build --release -p stapes-webrtc-bench
	$(BIN)/python -m benches.webrtc $(WEBRTC)

docs: dev ## Build the site of the documentation into out/site; a dead link, or a name without a word, is an error
	$(BIN)/python scripts/docs_site

faults: dev ## Lose the connection at each point of a turn, in each way, three times (docs/fault-table.md)
	$(BIN)/python -m tests.faults docs/fault-table.md 3

# Random conversations need what tests need; the rest needs a nightly compiler and `cargo install cargo-fuzz`. The
# sanitizer is off: what is looked for is a panic or a broken rule, and the code under test has no unsafe
# code of its own.
FUZZ_SECONDS ?= 30
fuzz: dev ## Hold random conversations, and feed anything to the parser, to conversations, to the jitter buffer and to carriers, for FUZZ_SECONDS each
	RANDOM_CONVERSATIONS_SECONDS=$(FUZZ_SECONDS) cargo test --package stapes-core --test random_conversations -- --nocapture
	RANDOM_CONVERSATIONS_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m pytest tests/random_conversations --capture=no
	$(PYTHON) scripts/fuzz_seeds.py tests/conformance/data/scenarios rust/core/fuzz/corpus
	cd rust/core && for target in server_event event_sequence rtp_audio carrier_frame; do \
	  cargo +nightly fuzz run --sanitizer none $$target -- -max_total_time=$(FUZZ_SECONDS) -max_len=16384 || exit 1; \
	done

clean: ## Remove what was built here
	rm -rf $(VENV) target out python/stapes/_core.abi3.so
