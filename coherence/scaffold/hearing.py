"""Hearing a persona: what its prompt makes the base say, beside what the base says anyway."""

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.engine.executors.progress import Progress
from coherence.errors import MeasurementError
from coherence.plan import NEUTRAL, Condition, Plan, Record, Reply
from coherence.properties.parts import too_few_answers
from coherence.scaffold.questions import PROBES
from coherence.scaffold.words import heard
from coherence.store import Store, store_root
from coherence.vocabulary import Decoding, Probe, Prompt, Release
from coherence.vocabulary.probe import spelled_out

_DECODING = Decoding()
_ASKED = tuple(Probe.model_validate(spelled_out(text)) for text in PROBES)


def hear(base: str, prompt: str, description: str, progress: Progress) -> dict[str, tuple[int, int]]:
    """Answer the proposed probes with the prompt and without; see `words.heard`.

    A CoherenceError says why the base cannot be asked.
    """
    sides = [
        [Reply(condition, probe, _DECODING) for probe in _ASKED]
        for condition in (Condition(NEUTRAL, prompts=(Prompt(text=prompt),)), Condition(NEUTRAL))
    ]
    engine = Engine(Artefacts(Release(base=base), {}), Store(store_root()), progress)
    replies = [reply for side in sides for reply in side]
    record = Record(engine.measure(Plan(replies)))
    if too_few_answers(replies, record):
        raise MeasurementError(
            f"it does not get from its reasoning to an answer within {_DECODING.max_new_tokens} tokens"
        )
    prompted, bare = ([record.reply(reply) for reply in side] for side in sides)
    return heard(description, prompted, bare)
