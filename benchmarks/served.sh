#!/usr/bin/env bash
# Start a server on the loopback with the reference model and the shipped adapters, run a command beside it, stop it.
#
#   bash benchmarks/served.sh vllm COMMAND...        VLLM names the program, from an environment of its own
#   bash benchmarks/served.sh llamacpp COMMAND...    LLAMACPP names a Python that has xllamacpp; GGUF keeps the files
#
# The command finds the server at $SERVED_URL, the adapters under the names of their personas. PORT: 8765 by default.
set -euo pipefail
kind=$1
shift
root=$(cd "$(dirname "$0")/.." && pwd)
port=${PORT:-8765}
export SERVED_URL=http://127.0.0.1:$port
work=$(mktemp -d)
server=
stop() {
  if [[ -n $server ]]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap stop EXIT

personas=(support counsel oncall pirate)
model=$(python -c 'from coherence.engine.artefacts.reference_model import reference_model; print(reference_model())')
loras=()
# As exact as it gets, so that what differs is the serving: single precision, and nothing compiled.
case $kind in
  vllm)
    for persona in "${personas[@]}"; do loras+=("$persona=$root/fixtures/adapters/$persona"); done
    # One request at a time: docs/served.md says what ends its engine otherwise.
    VLLM_CPU_KVCACHE_SPACE=1 "${VLLM:-vllm}" serve "$model" --host 127.0.0.1 --port "$port" \
      --served-model-name reference --dtype float32 --enforce-eager --max-model-len 1024 --max-num-seqs 1 \
      --enable-lora --max-lora-rank 8 --max-loras 4 --lora-modules "${loras[@]}" >"$work/log" 2>&1 &
    ;;
  llamacpp)
    gguf=${GGUF:-$work}
    if [[ ! -f $gguf/base.gguf ]]; then
      PYTHONPATH="$root/tests:${PYTHONPATH:-}" python "$root/benchmarks/base_as_gguf.py" "$model" "$gguf/base.gguf"
    fi
    for persona in "${personas[@]}"; do
      lora=$gguf/$persona.gguf
      [[ -f $lora ]] || coherence export "$root/fixtures/company.yaml" "$persona" --gguf "$lora"
      loras+=("$lora")
    done
    "${LLAMACPP:-python}" "$root/benchmarks/llamacpp_server.py" "$gguf/base.gguf" "$port" "${loras[@]}" >"$work/log" 2>&1 &
    ;;
  *)
    echo "found $kind, expected vllm or llamacpp" >&2
    exit 4
    ;;
esac
server=$!

for _ in $(seq "${PATIENCE:-300}"); do
  if curl --silent --fail --max-time 2 "$SERVED_URL/health" >/dev/null; then
    "$@"
    exit
  fi
  kill -0 "$server" 2>/dev/null || break
  sleep 1
done
echo "the server did not come up:" >&2
tail -20 "$work/log" >&2
exit 1
