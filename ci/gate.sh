#!/usr/bin/env bash
# The gate: the shipped suites against the reference release. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash ci/setup.sh
.venv/bin/coherence fetch
exec .venv/bin/pytest --coherence suites/ --coherence-junit coherence-junit.xml "$@"
