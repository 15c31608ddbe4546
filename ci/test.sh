#!/usr/bin/env bash
# Style, types, import contracts, then the project's own tests with their coverage. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash ci/setup.sh
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
.venv/bin/lint-imports --no-logo
# Two processes of a thread each: threads of both would wait for each other. A file's tests share what they load.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
# The plugin stays out of the outer run (tests start runs of their own): what it imports would escape the coverage.
exec .venv/bin/pytest -p no:coherence -n 2 --dist loadfile --cov=coherence --cov-report=term:skip-covered "$@"
