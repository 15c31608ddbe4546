"""Controls that are judged by nothing but what they ask for."""

from coherence.plan import Record


def step_by_step(case, values, earlier=()):
    """What the controls of a case found, and all that they asked for; `values` has any measurement."""
    known, asking = {}, case.controlling(0, earlier)
    try:
        wanted = next(asking)
        while True:
            known.update({one: values[one] for one in wanted})
            wanted = asking.send(Record(known))
    except StopIteration as end:
        return end.value, known.keys()
