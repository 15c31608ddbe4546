#!/usr/bin/env bash
# The gate: the shipped suites against the reference release, but for the long ones of conversations, which are
# judged as well when they are named: `bash ci/gate.sh suites/conversations`. Arguments go to pytest. A verdict to look
# at comes first: what it measures, the gate takes up.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash ci/setup.sh
.venv/bin/coherence demo
exec .venv/bin/pytest --coherence suites/*.coherence.yaml --coherence-rehash --coherence-junit coherence-junit.xml "$@"
