"""llama.cpp's server out of a Python package that has it ready-made, as `benchmarks/served.sh` starts it.

    python benchmarks/llamacpp_server.py BASE PORT LORA...

For an environment with `xllamacpp` and nothing else. Keys and values are kept in single precision, so that
what differs is the serving. The adapters wait to be asked for. With NO_PROMPT_CACHE set, no request goes on
from what an earlier one has left.
"""

import os
import sys
import time

import xllamacpp


def main(base: str, port: str, *loras: str) -> None:
    """Serve until the process is ended."""
    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias = base, {"reference"}
    params.hostnames, params.port = ["127.0.0.1"], int(port)
    params.n_parallel, params.n_ctx = 8, 8192
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(one, 1.0) for one in loras]
    params.lora_init_without_apply = True
    params.cache_prompt = "NO_PROMPT_CACHE" not in os.environ
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main(*sys.argv[1:])
