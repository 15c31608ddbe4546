#!/usr/bin/env bash
# Run the core of the tests with the oldest libraries that pyproject.toml allows, or with the newest that there are:
#   bash ci/libraries.sh oldest|newest [ARGUMENTS OF PYTEST]
# PYTHON names the interpreter (default: python3). ci/setup.sh makes .venv of pinned versions; this one stays apart.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

which=${1:-}
case $which in
  oldest) wanted=(--constraint ci/oldest.txt) ;;
  newest) wanted=(--upgrade --upgrade-strategy eager) ;;
  *)
    echo "libraries: found '$which', expected oldest or newest." >&2
    exit 4
    ;;
esac
shift

folder=.venv-$which
# What the tests themselves import, beside what the package does.
tests=(argcomplete cryptography cyclonedx-python-lib junitparser lxml pytest-xdist)
"${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/python" -m pip -qq install "${wanted[@]}" --editable . "${tests[@]}"
"$folder/bin/python" -m pip list
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec "$folder/bin/python" -m pytest -p no:coherence tests/engine tests/plugin tests/properties tests/reports/test_html.py "$@"
