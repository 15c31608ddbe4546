from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from coherence.plan import (
    ClaimName,
    Condition,
    Divergence,
    LawName,
    LawSearch,
    Likelihood,
    NextToken,
    Patch,
    Reading,
    Reply,
    Steer,
    Turn,
    WeightError,
)
from coherence.plan.measurement import LAW_TOKENS
from coherence.plan.workload import TokenCount, Workload
from coherence.vocabulary import Decoding, Position, Probe, Site, Tokens

BARE = Condition("sys")
PIRATE = Condition("sys", adapters=(("pirate", 1.0),))
A, B = (Probe(id=name, text=text) for name, text in (("a", "why?"), ("b", "whom?")))
SHORT = Decoding(max_new_tokens=5)


def ids(condition, probe):
    return [*"<sys>", *probe.text]


def counted(*measurements, blocks=4, text=ids):
    work = Workload(text, blocks)
    return [work.added(one) for one in measurements]


def test_a_prompt_is_read_once_whatever_is_wanted_of_it():
    reading, logits = Reading(BARE, A), NextToken(BARE, A)
    assert counted(reading, logits, reading) == [TokenCount(9), TokenCount(), TokenCount()]


def test_what_the_prompts_of_a_condition_begin_with_is_read_once():
    # <sys>wh is there already: om? is left.
    assert counted(NextToken(BARE, A), NextToken(BARE, B)) == [TokenCount(9), TokenCount(3)]
    assert counted(NextToken(BARE, A), NextToken(PIRATE, B)) == [TokenCount(9), TokenCount(10)]


def test_a_reply_is_as_long_as_it_may_become_and_its_own_mean_costs_nothing():
    reply = Reply(BARE, A, SHORT)
    heard = Reading(BARE, A, Position.RESPONSE_MEAN, reply)
    assert counted(reply, heard) == [TokenCount(9, 5), TokenCount()]


def test_another_condition_reads_prompt_and_reply_in_a_row_of_its_own():
    reply = Reply(BARE, A, SHORT)
    told = Likelihood(PIRATE, A, reply)
    read = Reading(PIRATE, A, Position.RESPONSE_MEAN, reply)
    assert counted(told, read) == [TokenCount(14), TokenCount()]


def test_a_divergence_reads_under_both():
    reply = Reply(BARE, A, SHORT)
    wanted = Divergence(PIRATE, A, BARE, reply, tokens=3)
    assert counted(wanted) == [TokenCount(24)]


def patched(*depths, position=Position.PROMPT_LAST):
    sites = tuple(map(Site.at_depth, depths))
    return replace(BARE, patch=Patch(((1.0, Reading(PIRATE, A)),), sites, position))


def test_divergences_of_changes_share_what_comes_before_the_change():
    reply = Reply(BARE, A, SHORT)
    first, second = (Divergence(patched(depth), A, PIRATE, reply, tokens=3) for depth in (1, 2))
    # Both read the prompt of 9 and 3 tokens of the reply: under the reference, and once under the changes.
    assert counted(first, second) == [TokenCount(12 + 12), TokenCount(3)]


def test_a_change_within_the_prompt_is_read_from_its_beginning():
    reply = Reply(BARE, A, SHORT)
    changes = [patched(depth, position=Position.USER_LAST) for depth in (1, 2)]
    wanted = [Divergence(change, A, PIRATE, reply, tokens=3) for change in changes]
    assert counted(*wanted) == [TokenCount(24), TokenCount(12)]


def test_prompts_under_changes_begin_as_their_condition_does():
    assert counted(NextToken(BARE, A), NextToken(patched(1), B)) == [TokenCount(9), TokenCount(3)]


def test_a_reading_that_ends_early_counts_the_share_of_blocks():
    assert counted(Reading(BARE, A, through=Site.at_depth(1))) == [TokenCount(9 / 4)]


def test_a_conversation_counts_each_answer_once():
    first = Reply(BARE, A, SHORT)
    second = Reply(BARE, A, SHORT, (Turn("and then"),))
    assert counted(first, second) == [TokenCount(9, 5), TokenCount(2, 5)]
    assert counted(second) == [TokenCount(11, 10)]


def test_a_search_counts_the_base_once_and_every_artefact_has_its_turn():
    search = LawSearch(LawName.SCALE_ZERO, (PIRATE,), (A,), 1e-4, 10, 0)
    assert counted(search) == [TokenCount(9 * (10 + 1 + 1))]
    assert counted(replace(search, law=LawName.ADAPTER_SWAPPED)) == [TokenCount(9 * 3 * (10 + 1))]
    claim = replace(search, law=ClaimName.NEXT_TOKEN, conditions=(PIRATE, PIRATE))
    assert counted(claim) == [TokenCount(9 * 2 * 10)]
    assert counted(WeightError(PIRATE)) == [TokenCount()]


def test_of_a_law_the_end_of_each_prompt_is_counted():
    search = LawSearch(LawName.SCALE_ZERO, (PIRATE,), (A,), 1e-4, 10, 0)
    (cut,) = counted(search, text=lambda condition, probe: "." * 40)
    assert cut == TokenCount(LAW_TOKENS * (10 + 1 + 1))
    (whole,) = counted(replace(search, law=LawName.BATCH_MATES), text=lambda condition, probe: "." * 40)
    assert whole == TokenCount(40 * 4 * (10 + 1))


def test_a_claim_about_positions_counts_all_probes_under_mixtures_up_to_its_site():
    poles = (BARE, PIRATE) * 3  # prompted, then in two regimes
    read = Site.parse("resid_post.1"), Position.PROMPT_LAST
    search = LawSearch(ClaimName.SAME_POSITION, poles, (A, B), 0.1, 5, 0, read)
    mixtures = 2 + 2 * 5
    assert counted(search, blocks=4) == [TokenCount(0.5 * 10 * 2 * mixtures)]


@given(st.permutations([NextToken(BARE, A), Reply(BARE, B, SHORT), Reading(PIRATE, A), Reading(PIRATE, B)]))
def test_the_sum_does_not_depend_on_the_order(measurements):
    assert sum(tokens.all for tokens in counted(*measurements)) == 9 + 3 + 5 + 9 + 3


def test_a_vector_that_acts_on_the_end_of_a_prompt_shares_it_at_every_site():
    reply, (first, second) = Reply(BARE, A, SHORT), (put_at(depth) for depth in (1, 2))
    wanted = [Divergence(one, A, PIRATE, reply, tokens=3) for one in (first, second)]
    assert counted(*wanted) == [TokenCount(12 + 12), TokenCount(3)]
    assert counted(NextToken(first, A), NextToken(replace(second, steers=()), B)) == [
        TokenCount(9),
        TokenCount(3),
    ]


def put_at(depth):
    return replace(BARE, steers=(Steer("pirate", 0.5, at=Site.at_depth(depth), tokens=Tokens.REPLY),))
