"""Student's t distribution, by scipy, imported when it is first asked: suites are read without it."""


def below(t: float, freedom: float) -> float:
    """Probability of a smaller t, P(T < t), with so many degrees of freedom: they need not be whole.

    See docs/verdicts.md#intervals.
    """
    from scipy.special import stdtr

    return float(stdtr(freedom, t))


def quantile(probability: float, freedom: float) -> float:
    """Give the t below which lies this probability: the inverse of `below`.

    See docs/verdicts.md#intervals.
    """
    # Of scipy.special, as scipy.stats takes thrice as long to import. Student's and not the normal one, which
    # makes too sure where a spread is told from a dozen clusters.
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))
