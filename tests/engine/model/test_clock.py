"""Templates that write the date, told a day of ours in the place of today."""

import datetime
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import CHATML, tokenizer

from coherence.engine.model.chat import Chat, messages
from coherence.engine.model.clock import writes_date
from coherence.plan import Condition
from coherence.vocabulary import Probe, Templating

BARE, PROBE = Condition("Hi."), Probe(id="p", text="Why?")
TODAY = "{%- set today = strftime_now('%Y-%m-%d') -%}"
LLAMA = (
    "{%- if not date_string is defined %}{%- if strftime_now is defined %}"
    '{%- set date_string = strftime_now("%d %b %Y") %}{%- else %}{%- set date_string = "1 Apr 2020" %}'
    "{%- endif %}{%- endif %}Today Date: {{ date_string }}\n"
)
FIXED = '{% if not date_string is defined %}{% set date_string = "1 Apr 2020" %}{% endif %}{{ date_string }}'
FORMATS = ["%d %b %Y", "%A, %-d %B %Y", "%Y-%m-%dT%H:%M", "100 %% on %j", "%%d is %d", "%x", "no day"]


def said(template: str, templating: Templating | None = None) -> str:
    words = tokenizer()
    words.chat_template = template + CHATML
    chat = Chat(words, templating) if templating else Chat(words)
    return chat.render(BARE, PROBE).removesuffix(Chat(tokenizer()).render(BARE, PROBE))


@given(day=st.dates(datetime.date(1970, 1, 1), datetime.date(2100, 1, 1)), form=st.sampled_from(FORMATS))
def test_a_day_is_written_as_python_writes_it(day: datetime.date, form: str) -> None:
    assert said(f"{{{{ strftime_now('{form}') }}}}", Templating(date=day)) == day.strftime(form)


@pytest.mark.parametrize(
    "around", ["{}", "\n{}", "  {}", "\n\n  {}\n", "{{% if true %}}\n{} {{% endif %}}\n"]
)
def test_everything_else_is_as_transformers_has_it(around: str) -> None:
    words = tokenizer()
    words.chat_template = around.format("{{ strftime_now('%Y-%m-%d') }}{% set x = 1 %}") + CHATML
    theirs = words.apply_chat_template(messages(BARE, PROBE), tokenize=False, add_generation_prompt=True)
    (today,) = re.findall(r"\d{4}-\d\d-\d\d", theirs)
    told = Templating(date=datetime.date.fromisoformat(today))
    assert Chat(words, told).render(BARE, PROBE) == theirs


def test_a_clock_is_stopped_where_a_suite_states_no_date() -> None:
    assert said(LLAMA) == "Today Date: 26 Jul 2024\n"
    assert said("{% macro day() %}{{ strftime_now('%j') }}{% endmacro %}{{ day() }}") == "208"


def test_a_date_of_the_templates_own_stays_unless_a_suite_states_one() -> None:
    stated = Templating(date=datetime.date(2026, 1, 31))
    assert said(FIXED) == "1 Apr 2020"
    assert said(FIXED, stated) == said(LLAMA, stated)[-12:-1] == "31 Jan 2026"


@pytest.mark.parametrize(
    ("template", "by_default", "where_stated"),
    [(CHATML, False, False), (LLAMA, True, True), (TODAY, True, True), (FIXED, False, True)],
)
def test_which_templates_ask_for_a_date(template: str, by_default: bool, where_stated: bool) -> None:
    assert writes_date(template, Templating()) is by_default
    assert writes_date(template, Templating(date=datetime.date(2026, 1, 31))) is where_stated
