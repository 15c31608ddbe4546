#!/usr/bin/env bash
# The gate: the shipped suites against the reference release, but for the long ones of conversations, which are
# judged as well when they are named: `bash ci/gate.sh suites/conversations`. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash ci/setup.sh
.venv/bin/coherence fetch
exec .venv/bin/pytest --coherence suites/*.coherence.yaml --coherence-junit coherence-junit.xml "$@"
