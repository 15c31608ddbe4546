"""What goes wrong where a persona is served, as it was seen in the field, to be switched on one by one."""

from enum import StrEnum


class Fault(StrEnum):
    """What a server does to the weights, the prompt, the decoding or the answer that nobody has asked for."""

    ADAPTER_IGNORED = "adapter ignored"  # vllm#34186, #34591, mlx-lm#1745
    UNKNOWN_SERVED = "unknown name served as base"  # vllm#55193
    RSLORA_IGNORED = "rsLoRA ignored"  # lorax#700, TensorRT-LLM#1668
    TIMES_RANK = "alpha times r"  # mlx-vlm#841
    DOUBLED = "scale doubled"
    HALF_MODULES = "half of the modules ignored"
    NEXT_BLOCK = "vector at the next layer"
    EVERY_BLOCK = "vector at every layer instead of one"
    CACHED = "the previous adapter's answer from a cache"  # llama.cpp#26207, vllm#42125
    SYSTEM_DROPPED = "system turn dropped"
    SYSTEM_INJECTED = "default system text injected"
    OTHER_DATE = "other date"
    THINKING = "thinking on"
    DOUBLE_START = "double BOS"
    REPETITION_PENALTY = "repetition penalty 1.1 by default"  # prime-rl PR#886
    WARM = "temperature not 0"
    TOP_ONLY = "top-k log-probabilities only"
    IDS_MISSING = "token ids not told"
    FOUR_BITS = "4-bit base"
    ECHO_MISSING = "echo log-probabilities silently missing"
