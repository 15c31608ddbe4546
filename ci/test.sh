#!/usr/bin/env bash
# Style, types, import contracts and the project's own tests, and beside them a thousand mutants of all that is read.
# Arguments go to pytest; with any there are no mutants.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash ci/setup.sh
# Every process that imports torch and transformers would compile them again: most of the time that it takes to start.
unset PYTHONDONTWRITEBYTECODE
# Processes of a thread each: threads of several would wait for each other.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
fuzz=
if [[ $# -eq 0 ]]; then
  # Beside all that follows, so that no core waits. The mutants are the same every time: ci/nightly.sh has others.
  echo "test: a thousand mutants of each kind of file are tried beside the tests; what they find is told at the end."
  found=$(mktemp)
  .venv/bin/python benchmarks/fuzz.py --mutants 1000 >"$found" 2>&1 &
  fuzz=$!
  trap 'kill "$fuzz" 2>/dev/null || true' EXIT
fi
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy --num-workers 2
.venv/bin/lint-imports --no-logo
# Coverage where Python tells which lines ran. Before 3.12 each line is traced, and tests of arithmetic take nearly
# twice as long: there, `--cov=coherence` has to be asked for.
coverage=()
if .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 12))'; then
  export COVERAGE_CORE=${COVERAGE_CORE:-sysmon}
  coverage=(--cov=coherence --cov-report=term:skip-covered)
fi
# The plugin stays out of the outer run (tests start runs of their own): what it imports would escape the coverage.
# A file's tests share what they load, and files go out in their order, whose last are short: neither process is left
# alone with a long one.
failed=0
.venv/bin/pytest -p no:coherence -n 2 --dist loadfile --no-loadscope-reorder ${coverage[@]+"${coverage[@]}"} "$@" || failed=$?
if [[ -n $fuzz ]]; then
  # Only what was found is told: a log ends with the summary of the tests.
  wait "$fuzz" || { cat "$found"; exit 1; }
  rm "$found"
fi
exit "$failed"
