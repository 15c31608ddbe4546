#!/usr/bin/env bash
# The gate: the shipped suites against the reference release, but for the long ones of conversations, which are
# judged as well when they are named: `bash ci/gate.sh suites/conversations`. Arguments go to pytest. The demo comes
# first, a verdict within a minute; then what is marked `tier: smoke`, and the rest: each verdict is shown as soon as it
# is measured, as provisional.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash ci/setup.sh
.venv/bin/coherence demo
exec .venv/bin/pytest --coherence suites/*.coherence.yaml --coherence-rehash --coherence-junit coherence-junit.xml "$@"
