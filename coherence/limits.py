"""How large may be what somebody wrote: far above what is of use, and below what harms.

docs/limits.md lists them. What counts over a suite counts over all files that it is made of.
"""

from typing import Final

SUITE_FILES: Final = 64
"""Files of a suite: itself, what it includes, and files of probes."""
SUITE_BYTES: Final = 16_000_000
"""All of them together."""
TRAINING_BYTES: Final = 256_000_000
"""A file of training data."""
DEPTH: Final = 32
"""Mappings and lists within each other, in a suite or a document."""
VALUES: Final = 250_000
"""Values of a suite: scalars, lists and mappings, as often as aliases repeat them."""
NUMBER: Final = 40
"""Characters of a number."""
PROBES: Final = 100_000
"""Probes of a suite."""
TURNS: Final = 200
"""Turns of a script."""
SAMPLES: Final = 64
"""Replies to one probe."""
SEED: Final = 2**63 - 1
"""A seed: what torch, numpy and a database of 64 bits take."""
NAME: Final = 200
"""Characters of a name: of a persona, an artefact, a probe, a script, an assertion."""
PATH: Final = 1_000
"""Characters of a path."""
PROBLEMS: Final = 100
"""Problems of a suite that are shown at once."""

DIGITS: Final = 5
"""Digits of the number of a block."""
SITES: Final = 1_000
"""Sites of a band."""

PATTERN: Final = 1_000
"""Characters of a marker, and of a pattern in the config of an adapter."""
REPEATS: Final = 1_000
"""How often nested repeats of a pattern repeat what is in them, all together."""
PATTERN_SECONDS: Final = 1.0
"""Seconds that a pattern may search one text for."""

TEMPLATE_SECONDS: Final = 5
"""Seconds of a processor that a chat template may render one conversation for."""
TEMPLATE_BYTES: Final = 500_000_000
"""Memory that it may take for that."""

CONVERSATION_BYTES: Final = 4_000_000
"""A line of transcripts."""

HEADER_BYTES: Final = 16_000_000
"""The header of a safetensors file, and a text before the tensors of a GGUF file."""
TEXTS: Final = 4_000_000
"""Texts in the lists of a GGUF file: the words of a tokenizer, and their merges."""
RANK: Final = 8
"""Axes of a tensor."""
PARTS: Final = 200_000
"""Parts of a file of vectors or of weights: tensors, names, members of an archive."""
CONFIG_BYTES: Final = 64_000_000
"""A JSON file beside weights; tokenizers are the largest."""
DOCUMENT_BYTES: Final = 64_000_000
"""A results document or a baseline."""
ANSWER_BYTES: Final = 64_000_000
"""What a server answers to one request."""
