#!/usr/bin/env bash
# Start a server on the loopback with the reference model and the shipped adapters, run a command beside it, stop it.
#
#   bash benchmarks/served.sh vllm COMMAND...        VLLM names the program, from an environment of its own
#   bash benchmarks/served.sh llamacpp COMMAND...    LLAMACPP names a Python that has xllamacpp; GGUF keeps the files
#   bash benchmarks/served.sh llama-server COMMAND...   LLAMA_SERVER names the program; at the next port another one
#                                                       has the control vector of VECTOR's persona, pirate by default
#
# The command finds the server at $SERVED_URL, and the other at $STEERED_URL, the adapters under the names of their
# personas. PORT: 8765 by default.
set -euo pipefail
kind=$1
shift
root=$(cd "$(dirname "$0")/.." && pwd)
port=${PORT:-8765}
export SERVED_URL=http://127.0.0.1:$port STEERED_URL=http://127.0.0.1:$((port + 1))
work=$(mktemp -d)
servers=()
stop() {
  for server in "${servers[@]}"; do kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; done
  rm -rf "$work"
}
trap stop EXIT

personas=(support counsel oncall pirate)
model=$(python -c 'from coherence.engine.artefacts.reference_model import reference_model; print(reference_model())')
loras=()
urls=("$SERVED_URL")

# Base and adapters as GGUF, written once.
as_gguf() {
  gguf=${GGUF:-$work}
  if [[ ! -f $gguf/base.gguf ]]; then
    PYTHONPATH="$root/tests:${PYTHONPATH:-}" python "$root/benchmarks/base_as_gguf.py" "$model" "$gguf/base.gguf"
  fi
  for persona in "${personas[@]}"; do
    lora=$gguf/$persona.gguf
    [[ -f $lora ]] || coherence export "$root/fixtures/company.yaml" "$persona" --gguf "$lora"
    loras+=("$lora")
  done
}

# llama.cpp's own program at a port, with what is told beside the base.
llama_server() {
  "${LLAMA_SERVER:-llama-server}" --model "$gguf/base.gguf" --alias reference --host 127.0.0.1 --port "$1" \
    --parallel 8 --ctx-size 8192 -ctk f32 -ctv f32 -fa off "${@:2}" >"$work/log.$1" 2>&1 &
  servers+=($!)
}

# As exact as it gets, so that what differs is the serving: single precision, and nothing compiled.
case $kind in
  vllm)
    for persona in "${personas[@]}"; do loras+=("$persona=$root/fixtures/adapters/$persona"); done
    # One request at a time: docs/served.md says what ends its engine otherwise.
    VLLM_CPU_KVCACHE_SPACE=1 "${VLLM:-vllm}" serve "$model" --host 127.0.0.1 --port "$port" \
      --served-model-name reference --dtype float32 --enforce-eager --max-model-len 1024 --max-num-seqs 1 \
      --enable-lora --max-lora-rank 8 --max-loras 4 --lora-modules "${loras[@]}" >"$work/log.$port" 2>&1 &
    servers+=($!)
    ;;
  llamacpp)
    as_gguf
    "${LLAMACPP:-python}" "$root/benchmarks/llamacpp_server.py" "$gguf/base.gguf" "$port" "${loras[@]}" \
      >"$work/log.$port" 2>&1 &
    servers+=($!)
    ;;
  llama-server)
    as_gguf
    vector=$work/vector.gguf
    coherence export "$root/fixtures/company.yaml" "${VECTOR:-pirate}" --control-vector "$vector"
    llama_server "$port" --lora-init-without-apply --lora "$(IFS=, && echo "${loras[*]}")"
    llama_server $((port + 1)) --control-vector "$vector"
    urls+=("$STEERED_URL")
    ;;
  *)
    echo "found $kind, expected vllm, llamacpp or llama-server" >&2
    exit 4
    ;;
esac

are_up() {
  for url in "${urls[@]}"; do curl --silent --fail --max-time 2 "$url/health" >/dev/null || return 1; done
}

for _ in $(seq "${PATIENCE:-300}"); do
  if are_up; then
    "$@"
    exit
  fi
  for server in "${servers[@]}"; do kill -0 "$server" 2>/dev/null || break 2; done
  sleep 1
done
echo "the server did not come up:" >&2
tail -n 20 "$work"/log.* >&2
exit 1
