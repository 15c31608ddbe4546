"""How much arithmetic measurements take, counted without the weights of the base."""

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.skeleton import Skeleton
from coherence.engine.model.chat import Chat
from coherence.engine.model.loading import load_tokenizer
from coherence.plan import LawSearch, Measurement
from coherence.plan.workload import TokenCount, Work, Workload


class Arithmetic:
    """Counts what one measurement after the other adds to what is run for those before.

    A CoherenceError says why the base or its chat template cannot be read.
    """

    def __init__(self, artefacts: Artefacts) -> None:
        with artefacts.blaming("base"):
            self._base = Skeleton(artefacts.base)
            chat = Chat(load_tokenizer(artefacts.base), artefacts.templating)
        self._workload = Workload(chat.encode, self._base.blocks)

    def tokens(self, measurement: Measurement) -> TokenCount:
        """Count the tokens that a measurement adds."""
        return self._workload.added(measurement)

    def flops(self, tokens: TokenCount) -> float:
        """Count the floating-point operations that tokens take."""
        return self._base.flops(tokens.all, tokens.generated)

    def work(self, measurement: Measurement) -> Work:
        """Count the operations that a measurement adds, by how they are run."""
        tokens = self.tokens(measurement)
        if isinstance(measurement, LawSearch):
            return Work(1, searched=self.flops(tokens))
        read, generated = (TokenCount(read=tokens.read), TokenCount(generated=tokens.generated))
        return Work(1, read=self.flops(read), generated=self.flops(generated))
