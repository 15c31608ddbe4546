"""Student's t distribution, by scipy, imported when it is first asked: suites are read without it."""


def below(t: float, freedom: float) -> float:
    """Probability of a smaller t."""
    from scipy.special import stdtr

    return float(stdtr(freedom, t))


def quantile(probability: float, freedom: float) -> float:
    """Give the t below which lies this probability."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))
