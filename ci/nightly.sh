#!/usr/bin/env bash
# What is too long for every change: mutants of everything that is read, single changes of a release, and runs that are
# ended by signals. Fails where any of them finds something; what it was is in the log, with the seed that makes it again.
# MUTANTS of each kind, CHANGES and MOMENTS say how many; SEED makes the mutants of another night.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash ci/setup.sh
failed=0
echo "nightly: the seed is ${SEED:=$(date -u +%Y%m%d)}"
.venv/bin/python benchmarks/fuzz.py --mutants "${MUTANTS:-10000}" --seed "$SEED" || failed=1
.venv/bin/python benchmarks/changes.py --changes "${CHANGES:-2000}" --seed "$SEED" || failed=1
for signal in TERM INT KILL; do
  .venv/bin/python benchmarks/kills.py --signal "$signal" --moments "${MOMENTS:-30}" || failed=1
done
exit "$failed"
