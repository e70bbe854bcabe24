# Everything a developer or an operator does from a clone. The work is in small scripts under
# deploy/setup/, so that each can be read, and run, on its own. What is given on the command line
# (ARGS, PEER, UPGRADE, LOCK, PYTHON) reaches them through the environment.

# The stories, the races and the demo start many processes. Where the environment forbids Python to
# keep what it compiled, each of them compiles the whole program first, a second and more.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-reset test check bench bench-ledger drills attributes lock shape

help:            ## Show these commands
	@sed -n 's/^\([a-z-]*\): .*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r name what; \
	  do printf '%-18s %s\n' "$$name" "$$what"; done

setup:           ## Make .venv with the locked packages and the `sen` command, and nothing else
	@deploy/setup/venv.sh

demo: setup      ## Start the provider, two relying parties and simulated registers (Ctrl-C stops them)
	@.venv/bin/python -m idp.cli demo

demo-reset:      ## Forget the demo: its people, keys, secrets and database
	@deploy/setup/demo-reset.sh

test: check      ## Run all checks and tests, on SQLite and PostgreSQL (make test ARGS="-k consent")
	@deploy/setup/system.sh
	@TMPDIR=$$(deploy/setup/scratch.sh) .venv/bin/python -m pytest -n 3 --dist worksteal $(ARGS)

check: setup     ## Format, lint, types and import contracts
	@deploy/setup/check.sh

bench: setup     ## Measure speed (PEER=1: the yardstick too; accounts: .venv/bin/python -m bench.accounts)
	@.venv/bin/python -m bench.run $(if $(PEER),--peer) $(ARGS)

bench-ledger: setup ## Measure the record of uses with 10 million entries (ARGS="--entries 200000" is quicker)
	@.venv/bin/python -m bench.ledger $(ARGS)

drills: setup    ## Tamper with the record of uses in every way, and tell who notices
	@.venv/bin/python -m bench.drills $(ARGS)

attributes: setup ## Write docs/attributes.md again from the attribute dictionary
	@.venv/bin/python -m deploy.attributes

lock: setup      ## Write both lock files again (make lock UPGRADE=1 takes the newest packages)
	@deploy/setup/lock.sh

shape: setup     ## Print the sizes of files and functions
	@.venv/bin/python deploy/shape.py
