#!/usr/bin/env bash
# What is too long for every change: the shipped suites on the good release and on every bad one, mutants of everything that
# is read, single changes of a release, and runs that are ended by signals. Fails where any of them finds something; what it
# was is in the log, with the seed that makes it again.
# MUTANTS of each kind, CHANGES and MOMENTS say how many; SEED makes the mutants of another night.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash ci/setup.sh
failed=0
# Bad releases of a folder are judged by the suites of that folder, which pass the good one.
for folder in . space exports; do
  gate=(.venv/bin/python -m pytest --coherence "suites/$folder"/*.coherence.yaml -q)
  "${gate[@]}" || failed=1
  for release in "fixtures/bad/$folder"/*.args; do
    # 1 is a gate that closes; anything else is a release that got through, or a run that broke.
    status=0
    "${gate[@]}" "@$release" || status=$?
    [[ $status -eq 1 ]] || { echo "nightly: $release ended with $status, expected 1"; failed=1; }
  done
done
echo "nightly: the seed is ${SEED:=$(date -u +%Y%m%d)}"
.venv/bin/python benchmarks/fuzz.py --mutants "${MUTANTS:-10000}" --seed "$SEED" || failed=1
.venv/bin/python benchmarks/changes.py --changes "${CHANGES:-2000}" --seed "$SEED" || failed=1
for signal in TERM INT KILL; do
  .venv/bin/python benchmarks/kills.py --signal "$signal" --moments "${MOMENTS:-30}" || failed=1
done
exit "$failed"
