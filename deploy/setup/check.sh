#!/usr/bin/env bash
# The checks that need no running program: format, lint, types, import contracts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
.venv/bin/python -m ruff format --check .
.venv/bin/python -m ruff check .
.venv/bin/python -m mypy
.venv/bin/python -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
