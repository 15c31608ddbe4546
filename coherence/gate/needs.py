"""What the assertions of a run need measured."""

from itertools import chain

from coherence.errors import CoherenceError, in_a_sentence
from coherence.plan import Plan, Reply
from coherence.suite import Assertion


class Needs:
    """What an assertion needs measured: its claim, and at most with its controls; or what was raised."""

    def __init__(self, assertion: Assertion) -> None:
        self.problem: CoherenceError | None = None
        try:
            decisive = list(assertion.case.needs())
            self.replies = [one for one in decisive if isinstance(one, Reply)]
            self.measurements = [*decisive, *assertion.case.needs_for_figures()]
            self.claim = Plan(self.measurements)
            self.plan = Plan(chain(self.measurements, assertion.control_needs()))
        except Exception as problem:
            self.replies, self.measurements, self.claim, self.plan = [], [], Plan(()), Plan(())
            self.problem = in_a_sentence(problem)

    def refuse(self, problem: CoherenceError) -> None:
        """Leave it unmeasured; what stood in its way before is said before."""
        self.plan = Plan(())
        self.problem = self.problem or problem
