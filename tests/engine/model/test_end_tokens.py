import pytest

from coherence.engine.model.end_tokens import end_tokens
from coherence.errors import ArtefactError


@pytest.mark.parametrize(("written", "ids"), [(None, []), (2, [2]), ([2, 7], [2, 7]), ([], [])])
def test_ends_are_one_a_list_or_none(written: object, ids: list[int]) -> None:
    assert end_tokens(written, "config.json") == ids


def test_others_are_said_with_their_file() -> None:
    with pytest.raises(ArtefactError, match=r"^config\.json sets eos_token_id to 'x'; expected the id"):
        end_tokens("x", "config.json")
