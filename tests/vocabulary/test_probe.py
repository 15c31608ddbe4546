import re

from hypothesis import given
from hypothesis import strategies as st

from coherence.vocabulary.probe import spelled_out


@given(text=st.text(min_size=1))
def test_a_bare_question_gets_a_stable_ascii_id(text):
    probe = spelled_out(text)
    assert probe["text"] == text
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", probe["id"])
    assert spelled_out(text) == probe
