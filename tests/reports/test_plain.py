from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from coherence.reports.plain import cell, clipped, one_line, rendered, table, visible

ANY_TEXT = st.text(st.characters(exclude_categories=()))


def test_control_characters_surrogates_and_reordering_are_written_out():
    assert visible("\x1b[31m \x00 \ud800 \u202e \uffff \x85 \u2028") == (
        r"\x1b[31m \x00 \ud800 \u202e \uffff \x85 \u2028"
    )


def test_what_people_write_stays():
    text = "naïve\tΨ 日本\n👩\u200d💻 [bold] :smile:"
    assert visible(text) == text


@given(ANY_TEXT)
def test_visible_text_is_encodable_and_stays_visible(text):
    shown = visible(text)
    shown.encode()
    assert visible(shown) == shown
    assert len(one_line(text).splitlines()) <= 1


@given(ANY_TEXT, st.integers(0, 40))
def test_clipped_text_keeps_a_prefix_and_counts_the_rest(text, limit):
    text = visible(text)
    cut = clipped(text, limit)
    kept, _, said = cut.rpartition("\n... ")
    if len(text.encode()) <= limit:
        assert cut == text
    else:
        assert text.startswith(kept)
        assert len(kept.encode()) <= limit
        assert said == f"{len(text) - len(kept)} more characters are in the results document"


def test_markup_in_a_cell_is_text():
    shown = table("reply")
    shown.add_row(cell("[bold]arr[/bold] :skull:"))
    assert "[bold]arr[/bold] :skull:" in rendered(shown, 80)


def test_colour_is_what_was_asked_for_and_not_what_the_environment_says(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" in rendered(Text("fail", "red"), 80, color=True)
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert rendered(Text("fail", "red"), 80) == "fail"
