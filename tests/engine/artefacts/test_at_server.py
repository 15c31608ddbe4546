"""Where a server has what a condition puts into the model: names, and servers of their own for vectors."""

import pickle
from collections.abc import Callable

import pytest

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.errors import MeasurementError, ServerError
from coherence.plan import Condition, Elsewhere, Steer
from coherence.vocabulary import Site

URL, ITS_OWN = "http://127.0.0.1:1", "http://127.0.0.1:2"
SERVED = {
    "url": URL,
    "base": "reference",
    "names": {"pirate": "pirate-v7"},
    "steered": {"pirate": ITS_OWN, "counsel": "counsel-steered"},
}
PIRATE, COUNSEL = ((Steer(name, 0.5),) for name in ("pirate", "counsel"))
ADAPTER = (("pirate", 1.0),)


@pytest.fixture
def at(artefacts: Callable[..., Artefacts]) -> Callable[..., tuple[str, str]]:
    """Return where a condition is served: the URL and the name."""
    release = artefacts(served=SERVED)

    def found(**condition: object) -> tuple[str, str]:
        server, model = release.at_server(Condition(None, **condition))  # type: ignore[arg-type]
        return str(server.client.address), model

    return found


def test_what_has_a_name_is_at_the_server_of_the_release(at: Callable[..., tuple[str, str]]) -> None:
    assert at() == (URL, "reference")
    assert at(adapters=ADAPTER) == (URL, "pirate-v7")
    assert at(adapters=(("counsel", 1.0),)) == (URL, "counsel")
    assert at(steers=COUNSEL) == (URL, "counsel-steered")


def test_a_vector_with_a_url_is_at_a_server_of_its_own(at: Callable[..., tuple[str, str]]) -> None:
    assert at(adapters=ADAPTER, steers=PIRATE) == (ITS_OWN, "pirate-v7")


def test_a_server_of_a_vector_is_made_once_and_not_sent_to_other_processes(
    artefacts: Callable[..., Artefacts],
) -> None:
    release = artefacts(served=SERVED)
    steered = Condition(None, adapters=ADAPTER, steers=PIRATE)
    server, _ = release.at_server(steered)
    assert release.at_server(steered)[0] is server
    assert pickle.loads(pickle.dumps(release)).at_server(steered)[0] is not server


@pytest.mark.parametrize(
    "condition",
    [
        {"steers": (Steer("oncall", 0.5),)},
        {"steers": (*PIRATE, *COUNSEL)},
        {"steers": (Steer("pirate", 0.5, at=Site(1, "post")),)},
        {"steers": (Steer("pirate", 0.5, elsewhere=Elsewhere.LATER),)},
        {"adapters": ADAPTER, "steers": COUNSEL},
        {"adapters": (("pirate", 0.5),)},
        {"adapters": (*ADAPTER, ("counsel", 1.0))},
    ],
)
def test_what_no_server_has_is_a_sentence(
    at: Callable[..., tuple[str, str]], condition: dict[str, object]
) -> None:
    with pytest.raises(MeasurementError, match="a server has the base, one whole adapter at a time, and a"):
        at(**condition)


def test_a_url_that_is_none_is_an_error_with_its_place(artefacts: Callable[..., Artefacts]) -> None:
    release = artefacts(served=SERVED | {"steered": {"pirate": "ftp://127.0.0.1"}})
    with pytest.raises(ServerError, match="expected http or https"):
        release.at_server(Condition(None, steers=PIRATE))
