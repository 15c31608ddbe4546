"""What the assertions of a run need measured."""

from itertools import chain

from coherence.errors import CoherenceError, in_a_sentence
from coherence.plan import Plan, Reply
from coherence.suite import Assertion


class Needs:
    """What an assertion needs measured, for its claim and for all with its controls; or what was raised.

    What is `decisive` is the claim without what only its figures take.
    """

    def __init__(self, assertion: Assertion) -> None:
        self.problem: CoherenceError | None = None
        try:
            self.decisive = list(assertion.case.needs())
            self.replies = [one for one in self.decisive if isinstance(one, Reply)]
            self.measurements = [*self.decisive, *assertion.case.needs_for_figures()]
            self.claim = Plan(self.measurements)
            self.plan = Plan(chain(self.measurements, assertion.control_needs()))
        except Exception as problem:
            self.decisive, self.replies, self.measurements = [], [], []
            self.claim, self.plan = Plan(()), Plan(())
            self.problem = in_a_sentence(problem)

    def refuse(self, problem: CoherenceError) -> None:
        """Leave it unmeasured; what stood in its way before is said before."""
        self.plan = Plan(())
        self.problem = self.problem or problem
