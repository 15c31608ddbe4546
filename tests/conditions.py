"""One condition of each kind, under artefacts that a test gives these names."""

from coherence.plan import Condition, Steer
from coherence.vocabulary import Prompt

NEUTRAL = "You are a helpful assistant."
BARE = Condition(NEUTRAL)
PROMPT = Condition(NEUTRAL, (Prompt(text="Answer as a pirate."),))
ADAPTER = Condition(NEUTRAL, adapters=(("pirate", 1.0),))
STEERED = Condition(NEUTRAL, steers=(Steer("pirate", 0.5),))
BROKEN = Condition(NEUTRAL, adapters=(("broken", 1.0),))
