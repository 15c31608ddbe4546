from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import CHATML, GEMMA, tokenizer
from tokenizers import normalizers, processors
from transformers import AutoTokenizer

from coherence.engine.model.chat import Chat, Ends, messages
from coherence.errors import ArtefactError, MeasurementError
from coherence.plan import Condition
from coherence.vocabulary import Example, Probe, Prompt, Templating
from coherence.vocabulary.templating import AS_IT_IS

WORDS = tokenizer()
CHAT = Chat(WORDS)
BARE = Condition("You are a helpful assistant.")


def probe(text: str) -> Probe:
    return Probe(id="p", text=text)


def worded() -> Chat:
    """One that has written nothing yet; its template is run in the same process as that of all of them."""
    return CHAT.under(AS_IT_IS)


def contents(*prompts: Prompt) -> list[tuple[str, str]]:
    turns = messages(Condition("Neutral.", prompts), probe("Why?"))
    return [(turn["role"], turn["content"]) for turn in turns]


def templated(template: str) -> object:
    words = tokenizer()
    words.chat_template = template
    return words


def test_a_bare_probe_has_the_neutral_system_text() -> None:
    assert contents() == [("system", "Neutral."), ("user", "Why?")]


def test_a_system_prompt_replaces_it() -> None:
    assert contents(Prompt(text="Arr.")) == [("system", "Arr."), ("user", "Why?")]


def test_two_system_prompts_are_joined_in_their_order() -> None:
    assert contents(Prompt(text="One."), Prompt(text="Two."))[0] == ("system", "One.\n\nTwo.")
    assert contents(Prompt(text="Two."), Prompt(text="One."))[0] == ("system", "Two.\n\nOne.")


def test_a_user_prompt_follows_every_question_of_its_own_and_the_probe() -> None:
    pirate = Prompt(text="As a pirate.", role="user", examples=(Example(user="Hot?", reply="Aye."),))
    gloomy = Prompt(text="Be sad.", role="user", examples=(Example(user="Cold?", reply="Sadly."),))
    assert contents(pirate, gloomy) == [
        ("system", "Neutral."),
        ("user", "Hot?\n\nAs a pirate."),
        ("assistant", "Aye."),
        ("user", "Cold?\n\nBe sad."),
        ("assistant", "Sadly."),
        ("user", "Why?\n\nAs a pirate.\n\nBe sad."),
    ]


def test_examples_of_a_system_prompt_are_asked_as_they_are() -> None:
    prompt = Prompt(text="Arr.", examples=(Example(user="Hot?", reply="Aye."),))
    assert contents(prompt)[1:3] == [("user", "Hot?"), ("assistant", "Aye.")]


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_ids_are_those_that_the_tokenizer_makes_of_its_own_template(text: str) -> None:
    own = WORDS.apply_chat_template(messages(BARE, probe(text)), add_generation_prompt=True)
    assert worded().encode(BARE, probe(text)) == own["input_ids"]
    assert worded().render(BARE, probe(text)).endswith("<|im_start|>assistant\n")


def test_thinking_is_off() -> None:
    words = templated(CHATML + "{% if enable_thinking is defined and not enable_thinking %}no{% endif %}")
    assert Chat(words).render(BARE, probe("Why?")).endswith("assistant\nno")


def test_a_base_model_has_no_template() -> None:
    words = tokenizer()
    words.chat_template = None
    with pytest.raises(ArtefactError, match="has no chat template; expected an instruct model"):
        Chat(words).encode(BARE, probe("Why?"))


SHOWN = Condition("Hi.", (Prompt(text="Arr.", examples=(Example(user="Hot?", reply="Aye."),)),))


def test_a_system_turn_that_is_refused_is_folded_into_the_first_turn_of_the_user() -> None:
    chat = Chat(templated(GEMMA))
    assert chat.refuses_system
    assert not worded().refuses_system
    assert chat.render(Condition("Hi."), probe("Why?")) == (
        "<|im_start|>user\nHi.\n\nWhy?<|im_end|>\n<|im_start|>model\n"
    )
    assert chat.render(SHOWN, probe("Why?")) == (
        "<|im_start|>user\nArr.\n\nHot?<|im_end|>\n<|im_start|>model\nAye.<|im_end|>\n"
        "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>model\n"
    )
    (between,) = chat.turns_after(Condition("Hi."), probe("Why?"), ["And?"])
    assert WORDS.decode(between) == "<|im_end|>\n<|im_start|>user\nAnd?<|im_end|>\n<|im_start|>model\n"


def test_it_is_folded_in_any_case_where_a_suite_says_so() -> None:
    asked = Condition(None, (Prompt(text="Hi.\n\n{probe}", role="user"),))
    folded = Chat(WORDS, Templating(fold=True))
    plain = CHATML.replace("in messages", "in messages if message.role != 'system'")
    assert folded.encode(Condition("Hi."), probe("Why?")) == folded.encode(asked, probe("Why?"))
    assert Chat(templated(plain), Templating(fold=True)).encode(BARE, probe("Why?"))


def test_without_a_system_turn_the_default_of_the_template_stands_there() -> None:
    injects = "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nI am Tiny.<|im_end|>\n{% endif %}"
    nobody, arr = Condition(None), Condition(None, (Prompt(text="Arr."),))
    assert [turn["role"] for turn in messages(nobody, probe("Why?"))] == ["user"]
    assert (
        Chat(templated(injects + CHATML))
        .render(nobody, probe("Why?"))
        .startswith("<|im_start|>system\nI am Tiny.<|im_end|>\n<|im_start|>user\nWhy?")
    )
    assert Chat(templated(injects + CHATML)).render(arr, probe("Why?")).startswith("<|im_start|>system\nArr.")


def test_what_is_folded_into_the_users_turn_is_not_what_the_user_says() -> None:
    chat = Chat(templated(GEMMA))
    ids = chat.encode(BARE, probe("Why? I ask."))
    tokens = chat.user_tokens(BARE, probe("Why? I ask."))
    assert WORDS.decode(ids[: tokens.start]).endswith("assistant.\n\n")
    assert WORDS.decode(ids[tokens.start : tokens.stop]) == "Why? I ask."


def test_a_template_that_refuses_more_than_a_system_turn() -> None:
    words = templated("{{ raise_exception('No.') }}")
    with pytest.raises(ArtefactError, match="refuses the conversation: No"):
        Chat(words).encode(BARE, probe("Why?"))


@pytest.mark.parametrize(
    ("kept", "condition", "left_out"),
    [
        ("message.role != 'system'", BARE, "the system turn; expected one that keeps it, or `system: fold`"),
        ("message.role != 'assistant'", SHOWN, "earlier answers; expected one that keeps every turn"),
        (
            "message.role != 'user' or loop.last",
            SHOWN,
            "what the user says; expected one that keeps every turn",
        ),
        ("message.role == 'system' or loop.last", SHOWN, "earlier answers|what the user says"),
    ],
)
def test_a_template_that_leaves_out_a_turn(kept: str, condition: Condition, left_out: str) -> None:
    # Whether another text stands there instead, as a default of the template does, or nothing.
    said = "{{ message.content }}{% else %}Be nice."
    dropping = f"{{% for message in messages %}}{{% if {kept} %}}{said}{{% endif %}}{{% endfor %}}"
    with pytest.raises(ArtefactError, match=f"the chat template of '.*' leaves out ({left_out})"):
        Chat(templated(dropping)).encode(condition, probe("Why?"))


def test_an_empty_system_turn_may_be_left_out() -> None:
    words = templated(CHATML.replace("in messages", "in messages if message.content != ''"))
    assert Chat(words).render(Condition(""), probe("Why?")).startswith("<|im_start|>user")


def test_a_template_may_leave_out_the_reasoning_of_earlier_answers() -> None:
    words = templated(CHATML.replace("message['content']", "message['content'].split('</think>')[-1]"))
    shown = Prompt(text="Arr.", examples=(Example(user="Hot?", reply="<think>Hm.</think>Aye."),))
    assert "\nAye.<|im_end|>" in Chat(words).render(Condition("Hi.", (shown,)), probe("Why?"))


def test_conditions_that_a_tokenizer_cannot_tell_apart() -> None:
    words = tokenizer()
    words.backend_tokenizer.normalizer = normalizers.Lowercase()
    chat = Chat(words)
    quiet, loud = (Condition("Hi.", (Prompt(text=text),)) for text in ("arr.", "ARR."))
    chat.encode(quiet, probe("Why?"))
    chat.encode(quiet, probe("Why?"))
    with pytest.raises(
        MeasurementError,
        match="two conditions that say different things give the same tokens for probe 'p'; "
        "expected a tokenizer that tells them apart",
    ):
        chat.encode(loud, probe("Why?"))


def test_conditions_that_a_template_cannot_tell_apart() -> None:
    # It keeps every turn, and not what makes two of them different.
    words = templated(CHATML.replace("message['content']", "message['content'][-6:]"))
    chat = Chat(words)
    captain, cook, none = (
        Condition("Hi.", (Prompt(text=text),) if text else ())
        for text in ("Be a captain.", "Obey the captain.", "")
    )
    chat.encode(captain, probe("Why?"))
    chat.encode(captain, probe("Why?"))
    chat.encode(none, probe("Why?"))
    with pytest.raises(
        MeasurementError,
        match="two conditions that say different things give the same tokens for probe 'p'; "
        "expected a chat template that tells them apart",
    ):
        chat.encode(cook, probe("Why?"))


def test_a_default_that_a_template_writes_may_be_said_as_well() -> None:
    default = "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\nHi.<|im_end|>\n' }}{% endif %}"
    chat = Chat(templated(default + CHATML))
    by_template, by_suite = (chat.encode(Condition(neutral), probe("Why?")) for neutral in (None, "Hi."))
    assert by_template == by_suite


def test_a_start_token_is_written_once_whatever_the_tokenizer_adds() -> None:
    words = templated("{{ '<|endoftext|>' }}" + CHATML)
    words.bos_token = "<|endoftext|>"
    words.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )
    assert words("Why?")["input_ids"][0] == 0
    for _ in range(2):
        assert Chat(words).encode(BARE, probe("Why?")).count(0) == 1
        assert 0 not in Chat(words).turns_after(BARE, probe("Why?"), ["And?"])[0]


CLOSED, OPENED = "<|im_end|>", "<|im_start|>"


@pytest.mark.parametrize(
    ("turn", "answer", "ends", "begins"),
    [
        (
            "<|im_start|>user\n{}<|im_end|>\n",
            "<|im_start|>assistant\n{}<|im_end|>\n",
            CLOSED,
            OPENED + "user",
        ),
        # A header that is one token, and no line break.
        ("<|im_start|>{}", "<|endoftext|>{}<|im_end|>", CLOSED, OPENED),
        # Nothing ends an answer but the next turn.
        ("<|im_start|>{}", "<|im_end|>{}", None, OPENED),
        ("Q: {}\n", "A: {}\n", None, ""),
        # The last answer ends otherwise than those before it, whose end may come before more of the answer.
        (
            "<|im_start|>{}",
            "A: {}{% if loop.last %}<|endoftext|>{% else %}<|im_end|>{% endif %}",
            "<|endoftext|>",
            "",
        ),
        ("<|im_start|>{}", "A: {}{% if loop.last %} So.{% else %}<|im_end|>{% endif %}", None, ""),
        # Something follows at the very end.
        ("<|im_start|>{}", "A: {}<|im_end|>{% if loop.last %}<|endoftext|>{% endif %}", CLOSED, OPENED),
    ],
)
def test_how_a_template_ends_an_answer_and_begins_a_turn(
    turn: str, answer: str, ends: str | None, begins: str
) -> None:
    asked, said = (text.replace("{}", "{{ message.content }}") for text in (turn, answer))
    each = f"{{% if message.role == 'user' %}}{asked}{{% else %}}{said}{{% endif %}}"
    words = templated(f"{{% for message in messages %}}{each}{{% endfor %}}")
    found = Chat(words).ends
    assert (words.decode(found.answer) if found.answer is not None else None) == ends
    assert words.decode(found.turn) == begins


@pytest.mark.parametrize(
    ("turn", "header"), [("[INST] {} [/INST]", "[INST]"), ("<|user|>\n{}\n", "<|user|>"), ("Q: {}\n", "")]
)
def test_a_turn_that_begins_in_text_begins_with_a_header_that_is_known(turn: str, header: str) -> None:
    asked = turn.replace("{}", "{{ message.content }}")
    said = "{{ message.content }}<|im_end|>"
    each = f"{{% if message.role == 'user' %}}{asked}{{% else %}}{said}{{% endif %}}"
    ends = Chat(templated(f"{{% for message in messages %}}{each}{{% endfor %}}")).ends
    assert ends.turn == ()
    assert ends.header == header


def test_a_base_without_a_template_ends_nothing() -> None:
    words = tokenizer()
    words.chat_template = None
    assert Chat(words).ends == Ends()


def test_a_start_token_that_is_written_twice() -> None:
    with pytest.raises(ArtefactError, match="writes the start token twice"):
        Chat(templated("{{ bos_token }}" + CHATML)).encode(BARE, probe("Why?"))


def said_until(condition: Condition, text: str) -> tuple[str, str]:
    """What the ids say up to the last user token, without it and with it."""
    ids = worded().encode(condition, probe(text))
    last = worded().user_tokens(condition, probe(text))[-1]
    return WORDS.decode(ids[:last]), WORDS.decode(ids[: last + 1])


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
tricky = st.sampled_from(["assistant", "a", "user", "end", "im", "helpful assistant.", "n", "|", "Why?  \n "])


@given(text=(texts | tricky).filter(lambda text: text.strip()))
def test_the_last_user_token_ends_what_the_user_says(text: str) -> None:
    asked = f"<|im_start|>system\n{BARE.neutral}<|im_end|>\n<|im_start|>user\n{text.rstrip()}"
    before, after = said_until(BARE, text)
    assert after.startswith(asked)
    assert not before.startswith(asked)


def test_a_system_text_that_repeats_the_question_is_not_mistaken_for_it() -> None:
    repeating = Condition("Where is my order?", (Prompt(text="Where is my order?"),))
    before, after = said_until(repeating, "Where is my order?")
    assert after.count("Where is my order?") == 2
    assert before.count("Where is my order?") == 1


def test_a_user_prompt_is_part_of_what_the_user_says() -> None:
    pirate = Condition(BARE.neutral, (Prompt(text="As a pirate. ", role="user"),))
    assert said_until(pirate, "Why?")[1].endswith("Why?\n\nAs a pirate.")


def test_a_template_that_trims_is_understood() -> None:
    words = templated(CHATML.replace("message['content']", "(message['content'] | trim)"))
    ids = Chat(words).encode(BARE, probe("  Why?  "))
    last = Chat(words).user_tokens(BARE, probe("  Why?  "))[-1]
    assert words.decode(ids[: last + 1]).endswith("user\nWhy?")


def test_a_template_that_rewrites_what_the_user_says() -> None:
    words = templated("{% for message in messages %}{{ message['content'] | length }}{% endfor %}")
    with pytest.raises(ArtefactError, match="rewrites what the user says; expected one that leaves it whole"):
        Chat(words).user_tokens(BARE, probe("Why?"))[-1]


def turn_until(words: object, asked: str, *turns: str) -> str:
    """What the ids say up to the last token before the header, from where the user's last turn begins."""
    chat = Chat(words)
    ids = chat.turns_after(BARE, probe(asked), turns)[-1] if turns else chat.encode(BARE, probe(asked))
    return words.decode(ids[: chat.turn_last(BARE, probe(asked), turns) + 1])


@given(text=texts | tricky)
def test_the_turn_ends_before_the_header(text: str) -> None:
    assert turn_until(WORDS, text) + "<|im_start|>assistant\n" == worded().render(BARE, probe(text))


def test_the_turn_of_a_conversation_ends_before_the_header() -> None:
    assert turn_until(WORDS, "Why?", "And?", "Where?").endswith("user\nWhere?<|im_end|>\n")


def test_on_the_reference_template_the_turn_ends_two_tokens_after_its_words(reference: Path) -> None:
    words = AutoTokenizer.from_pretrained(reference)
    ids = Chat(words).encode(BARE, probe("Why?"))
    tokens = words.convert_ids_to_tokens(ids)
    assert tokens[-7:] == ["?", "<|im_end|>", "Ċ", "<|im_start|>", "ass", "istant", "Ċ"]
    assert Chat(words).user_tokens(BARE, probe("Why?"))[-1] == len(ids) - 7
    assert Chat(words).turn_last(BARE, probe("Why?")) == len(ids) - 5


@pytest.mark.parametrize(
    ("turn", "header", "ends"),
    [
        ("<start_of_turn>{}<end_of_turn>\n", "<start_of_turn>model\n", "Why?<end_of_turn>\n"),
        ("<|start|>user<|end|>\n\n{}<|eot|>", "<|start|>assistant<|end|>\n\n", "Why?<|eot|>"),
        ("[INST] {} [/INST]", "", "Why? [/INST]"),
        ("Q: {}\n\n", "A:", "Why?\n\n"),
        ("{}\n\n### ", "### Answer:", "Why?\n\n### "),
        ("{}<|im_end|>", "<|im_start|>\n<think>\n\n</think>\n\n", "Why?<|im_end|>"),
    ],
)
def test_the_turn_ends_where_other_templates_end_it(turn: str, header: str, ends: str) -> None:
    before, after = turn.split("{}")
    words = templated(
        f"{{% for message in messages %}}{before}{{{{ message.content }}}}{after}{{% endfor %}}"
        f"{{% if add_generation_prompt %}}{header}{{% endif %}}"
    )
    assert turn_until(words, "Why?").endswith(ends)
    assert turn_until(words, "Why?") + header == Chat(words).render(BARE, probe("Why?"))


def test_a_token_that_joins_the_turn_and_the_header_is_the_headers() -> None:
    words = templated(
        "{% for message in messages %}{{ message.content }} {% endfor %}"
        "{% if add_generation_prompt %}assistant{% endif %}"
    )
    ids = Chat(words).encode(BARE, probe("Why?"))
    assert words.decode(ids[Chat(words).turn_last(BARE, probe("Why?"))]) == "?"


@pytest.mark.parametrize(
    "template",
    [
        CHATML + "{% if not add_generation_prompt %}<|endoftext|>{% endif %}",
        "{% if add_generation_prompt %}{{ messages[-1].content }}{% endif %}",
    ],
)
def test_a_template_that_ends_otherwise_where_no_answer_is_to_follow(template: str) -> None:
    with pytest.raises(
        ArtefactError,
        match=r"the chat template of '.*' ends otherwise where no answer is to follow; expected one that "
        "only adds the header of an answer, for the position turn_last",
    ):
        Chat(templated(template)).turn_last(BARE, probe("Why?"))


TALK = Condition("Neutral.", (Prompt(text="Be brief.", role="user"),))


@given(said=st.lists(st.text("abc ?", min_size=1, max_size=5).map(str.strip), min_size=1, max_size=3))
def test_what_comes_between_answers_is_what_the_template_writes_there(said: list[str]) -> None:
    # The template of a conversation whose answers are there.
    turns = messages(TALK, probe("Why?"))
    for text in said:
        turns += [
            {"role": "assistant", "content": "YES"},
            {"role": "user", "content": f"{text}\n\nBe brief."},
        ]
    whole = WORDS.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    between = [WORDS.decode(ids) for ids in worded().turns_after(TALK, probe("Why?"), said)]
    assert "YES".join([worded().render(TALK, probe("Why?")), *between]) == whole


def test_a_template_that_leaves_out_earlier_answers() -> None:
    words = templated(CHATML.replace("in messages", "in messages if message.role != 'assistant'"))
    with pytest.raises(ArtefactError, match="leaves out earlier answers; expected one that keeps every turn"):
        Chat(words).turns_after(BARE, probe("Why?"), ["And then?"])


AS_PIRATE = Prompt(text="As a pirate, {probe}", role="user", examples=(Example(user="Hot?", reply="Aye."),))


def test_a_user_prompt_with_a_place_is_put_around_every_question() -> None:
    assert contents(AS_PIRATE) == [
        ("system", "Neutral."),
        ("user", "As a pirate, Hot?"),
        ("assistant", "Aye."),
        ("user", "As a pirate, Why?"),
    ]


def test_prompts_are_put_around_and_behind_in_their_order() -> None:
    brief = Prompt(text="Be brief.", role="user")
    assert contents(Prompt(text="({probe})", role="user"), brief)[-1] == ("user", "(Why?)\n\nBe brief.")
    assert contents(brief, Prompt(text="({probe})", role="user"))[-1] == ("user", "(Why?\n\nBe brief.)")


def test_a_question_that_holds_the_place_itself_is_asked_as_it_is() -> None:
    turns = messages(Condition("Neutral.", (AS_PIRATE,)), probe("what is {probe}?"))
    assert turns[-1]["content"] == "As a pirate, what is {probe}?"


def test_a_system_prompt_has_no_place_for_the_question() -> None:
    assert contents(Prompt(text="As {probe}."))[0] == ("system", "As {probe}.")


@given(text=(texts | tricky).filter(lambda text: text.strip()))
def test_prompts_of_one_turn_end_alike_whatever_is_asked(text: str) -> None:
    conditions = [
        BARE,
        Condition(BARE.neutral, (Prompt(text="Arr."),)),
        Condition(BARE.neutral, (AS_PIRATE,)),
    ]
    suffixes = {worded().generation_suffix(condition, probe(text.rstrip())) for condition in conditions}
    assert [WORDS.decode(ids) for ids in suffixes] == ["<|im_end|>\n<|im_start|>assistant\n"]


def test_a_prompt_that_ends_in_white_space_ends_unlike_others() -> None:
    spaced = Condition(BARE.neutral, (Prompt(text="Be brief.\n", role="user"),))
    suffixes = {worded().generation_suffix(condition, probe("Why?")) for condition in (BARE, spaced)}
    assert len(suffixes) == 2


def test_the_suffix_and_what_comes_before_are_the_prompt() -> None:
    last = worded().user_tokens(BARE, probe("Why?"))[-1]
    ids = worded().encode(BARE, probe("Why?"))
    assert [*ids[: last + 1], *worded().generation_suffix(BARE, probe("Why?"))] == ids


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "5 seconds"),
        ("{{ 'x' * 10 ** 12 }}", "500,000,000 bytes of memory"),
        (
            "{% set n = namespace(s='x') %}{% for a in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}",
            "memory",
        ),
        ("{{ '%1000000000000d' | format(1) }}", "memory"),
    ],
)
def test_a_template_that_never_ends_is_stopped(template: str, sentence: str) -> None:
    with pytest.raises(
        ArtefactError, match=rf"^the chat template of '.*' takes more than .*{sentence}; expected"
    ):
        Chat(templated(template)).render(BARE, probe("Why?"))
