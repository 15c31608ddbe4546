#!/usr/bin/env bash
# The gate beside a server: start it, wait until it lists its models, judge what it serves, stop it.
#
#   bash ci/served.sh http://127.0.0.1:8000 suites/served -- \
#     vllm serve BASE --enable-lora --lora-modules pirate=adapters/pirate
#
# What comes after the URL goes to pytest, what comes after `--` starts the server. PATIENCE is how many seconds it
# may take to come up: 600 by default. Its output goes to coherence-server.log.
set -euo pipefail
url=$1
shift
judged=()
while [[ $# -gt 0 && $1 != -- ]]; do
  judged+=("$1")
  shift
done
if [[ $# -lt 2 || ${#judged[@]} -eq 0 ]]; then
  echo "expected URL SUITES... -- COMMAND... that starts the server" >&2
  exit 4
fi
shift

"$@" >coherence-server.log 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true' EXIT

# One that wants a key is up as well: coherence has it from the suite's key_env.
until [[ $(curl --silent --max-time 2 --output /dev/null --write-out '%{http_code}' "$url/v1/models") =~ ^(200|401)$ ]]; do
  if ((SECONDS > ${PATIENCE:-600})) || ! kill -0 "$server" 2>/dev/null; then
    echo "the server did not come up:" >&2
    tail -n 20 coherence-server.log >&2
    exit 1
  fi
  sleep 1
done
pytest --coherence "${judged[@]}" --coherence-served "$url" --coherence-served-fresh
