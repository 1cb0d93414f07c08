# Needs make and Python 3.11 or newer, nothing else. All it installs goes to .venv.

PYTHON ?=
ARGS ?=
UV ?= uv

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCK := $(UV) --no-config pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock"

.DELETE_ON_ERROR:
.PHONY: help run test faults faults-long check reference bench locale lock clean

help: ## Show what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; \
	do printf '  make %-11s %s\n' "$$name" "$$text"; done

run: .venv/.runtime ## Start a demo gateway; more options in ARGS="--port 9000"
	@exec $(BIN)/bulonera-sync serve --demo $(ARGS)

test: .venv/.dev ## Run the tests, those on a real Postgres too; some of them with ARGS="-k word"
	@$(BIN)/python -m pytest $(ARGS)

faults: .venv/.dev ## Kill, cut, fill and starve a gateway in every way, and count what is lost (root; 4 minutes)
	@FAULTS_SCALE=quick $(BIN)/python -m tests.faults $(ARGS)

faults-long: .venv/.dev ## The same in the numbers of a release
	@FAULTS_SCALE=long $(BIN)/python -m tests.faults $(ARGS)

check: .venv/.dev ## Check style, types and who imports whom
	@status=0; \
	$(BIN)/ruff check --quiet || status=1; \
	$(BIN)/ruff format --check --quiet || { echo "Not formatted; $(BIN)/ruff format does it." >&2; status=1; }; \
	$(BIN)/mypy --strict --no-error-summary || status=1; \
	imports=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$imports"; status=1; }; \
	[ $$status = 0 ] && echo "Style, types and imports are as they should be."

reference: .venv/.dev ## Write docs/cli.md anew from the commands
	@$(BIN)/python -m bulonera_sync.cli.reference > docs/cli.md

bench: .venv/.dev ## Measure speed beside the bare engine, or another checkout with ARGS="--against FOLDER"; more with ARGS=--help
	@$(BIN)/python -m benchmarks $(ARGS)

locale: .venv/.dev ## Gather the texts of the command line into its catalogue, and compile it
	@$(BIN)/python -m tools.catalogues

# uv is needed for this target alone. Versions stay unless ARGS=--upgrade asks for newer ones.
lock: ## Write requirements/*.txt anew from pyproject.toml (needs uv); newer versions with ARGS=--upgrade
	@$(LOCK) $(ARGS) pyproject.toml --extra postgres --group dev --output-file requirements/dev.txt
	@$(LOCK) --constraints requirements/dev.txt pyproject.toml --output-file requirements/runtime.txt
	@$(LOCK) --constraints requirements/dev.txt pyproject.toml --extra fast --extra lan --extra postgres \
		--output-file requirements/container.txt
	@$(LOCK) --constraints requirements/dev.txt --group build --output-file requirements/build.txt

clean: ## Remove .venv and everything else that was made here
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp says that what its file locks, and the project itself, are installed.
.venv/.%: requirements/%.txt requirements/build.txt pyproject.toml .venv/pyvenv.cfg
	@echo "Installing requirements/$*.txt into .venv (once, about a minute)"
	@$(PIP) install --require-hashes -r requirements/$*.txt -r requirements/build.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/pyvenv.cfg:
	@for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
		"$$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		echo "Making .venv with $$("$$python" --version)"; \
		"$$python" -m venv --clear .venv && exit 0; \
		rm -rf .venv; exit 1; \
	done; \
	echo "Python 3.11 or newer is needed, with its venv module (on Debian: apt install python3-venv)." >&2; \
	echo "Looked for: $(or $(PYTHON),python3 and python3.11 to python3.14). Name another: make PYTHON=/path/to/python3" >&2; \
	exit 1
