"""Thresholds in the text of a suite: numbers change, and nothing else does."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from coherence.errors import SuiteError
from coherence.suite import Overrides, load_suite
from coherence.thresholds import change, rewrite
from coherence.thresholds.proposal import Proposal
from coherence.thresholds.rewrite import rewritten
from coherence.thresholds.side import Side
from coherence.thresholds.written_claim import entries
from coherence.vocabulary import Estimate

SHIPPED = sorted((Path(__file__).parents[2] / "suites").glob("*.coherence.yaml"))
KEYS = ("min_cosine", "min_margin", "min_agreement", "max_difference", "min_recovery", "max_area")
hundredths = st.integers(1, 99).map(lambda n: n / 100)


def propose(path, key, *numbers, index=None):
    """Propose numbers for a key of every entry that has it, or of one."""
    return [
        Proposal(
            entry=entry,
            key=key,
            item=item,
            side=Side.AT_LEAST,
            current=entry.numbers(key)[item],
            proposed=number,
            weakest="",
            release=None,
            estimate=Estimate(name="x", value=0, low=0, high=0, n=1),
            control=None,
            needed=8,
            notes=(),
        )
        for entry in entries(load_suite(path, Overrides()))
        if index in (None, entry.index) and getattr(entry.asserted, key, None) is not None
        for item, number in enumerate(numbers)
    ]


@pytest.fixture(params=SHIPPED, ids=lambda path: path.name.split(".")[0])
def shipped(request, tmp_path):
    """A suite that is shipped, copied with what it includes."""
    shutil.copytree(request.param.parents[1] / "fixtures", tmp_path / "fixtures")
    (tmp_path / "suites").mkdir()
    return Path(shutil.copy(request.param, tmp_path / "suites"))


def test_of_a_shipped_suite_only_the_numbers_change(shipped):
    before = shipped.read_text()
    found = [proposal for key in KEYS for proposal in propose(shipped, key, 0.37)]
    written = [p for p in found if re.search(rf"\b{p.key}:", before)]
    rewrite(shipped, written)
    after = shipped.read_text()
    number = re.compile(rf"({'|'.join(KEYS)}): [\d.]+")
    assert before != after
    assert number.sub("", after) == number.sub("", before)
    assert {match[0].split()[1] for match in number.finditer(after)} == {"0.37"}
    assert len(load_suite(shipped, Overrides()).assertions) > 0
    assert change(shipped, propose(shipped, "min_cosine", 0.37)) == ""


def test_the_shipped_suites_are_all_there():
    assert len(SHIPPED) == 4


RELEASE = """\
coherence: 1
release: {adapters: {a: ./lost, b: ./lost}}
personas: {a: {prompt: Be a.}, b: {prompt: Be b.}}
probes: [Où, Two, Three, Four]  # libyaml counts characters, not bytes
assertions:
"""
ATTRACTOR = "{property: attractor, poles: [a, b], regimes: [prompt], site: resid_post.1"
LAYOUTS = {
    "flow": f"""{RELEASE}\
- {{property: attractor, id: one, poles: [a, b], regimes: [adapter], site: resid_post.1, max_area: 1,
   tipping: [0.1, 0.9]}}  # on two lines
- {{id: two, property: attractor, poles: [a, b], regimes: [prompt], site: resid_post.1,
   max_area: 0.999, tipping: [ 0.2 , 0.8 ] }}
""",
    "block": f"""{RELEASE}\
      - property: attractor  # the last words
        poles: [a, b]

        max_area: 1.00  # of either sign
        tipping:
          - 0.1
          # and
          - 0.9
        site: resid_post.1
        regimes:
          - adapter""",
}


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    """Proposals for the suite in flow style."""
    path = tmp_path_factory.mktemp("suite") / "a.coherence.yaml"
    path.write_text(LAYOUTS["flow"])
    return [*propose(path, "max_area", 0.5), *propose(path, "tipping", 0.5, 0.5)]


@given(hundredths, hundredths, hundredths)
def test_any_numbers_come_back_when_the_file_is_read(flow, one, low, high):
    wanted = {("max_area", 0): one, ("tipping", 0): low, ("tipping", 1): high}
    found = [replace(proposal, proposed=wanted[proposal.key, proposal.item]) for proposal in flow]
    read = yaml.safe_load(rewritten(Path("a"), LAYOUTS["flow"], found))["assertions"]
    assert [(entry["max_area"], entry["tipping"]) for entry in read] == [(one, [low, high])] * 2


def test_blocks_keep_their_form(tmp_path):
    path = tmp_path / "a.coherence.yaml"
    path.write_text(LAYOUTS["block"])
    found = [*propose(path, "max_area", 0.5), *propose(path, "tipping", 0.2, 0.9)]
    rewrite(path, found)
    expected = LAYOUTS["block"].replace("1.00", "0.5").replace("- 0.1", "- 0.2")
    assert path.read_text() == expected


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_key_that_was_not_written_is_added(tmp_path, layout):
    path = tmp_path / "a.coherence.yaml"
    path.write_text(LAYOUTS[layout])
    rewrite(path, propose(path, "min_separation", 0.5))
    assert {entry.asserted.min_separation for entry in entries(load_suite(path, Overrides()))} == {0.5}
    assert re.sub(r"(, |\n +)min_separation: 0.5", "", path.read_text()) == LAYOUTS[layout]


def test_half_of_a_range_that_was_not_written_brings_the_other(tmp_path):
    path = tmp_path / "a.coherence.yaml"
    path.write_text(f"{RELEASE}  - {ATTRACTOR}, max_area: 1}}\n")
    rewrite(path, propose(path, "tipping", 0.3))
    assert path.read_text() == f"{RELEASE}  - {ATTRACTOR}, max_area: 1, tipping: [0.3, 0.75]}}\n"


def test_what_is_proposed_already_or_not_at_all_changes_nothing(tmp_path):
    path = tmp_path / "a.coherence.yaml"
    path.write_text(LAYOUTS["flow"])
    (first, second) = propose(path, "max_area", 0.999)
    nothing = [replace(first, proposed=None), second, *propose(path, "min_separation", 0.25)]
    assert change(path, nothing) == ""


def test_line_ends_and_a_byte_order_mark_stay(tmp_path):
    path = tmp_path / "a.coherence.yaml"
    before = b"\xef\xbb\xbf" + LAYOUTS["block"].replace("\n", "\r\n").encode()
    path.write_bytes(before)
    rewrite(path, [*propose(path, "max_area", 0.5), *propose(path, "min_separation", 0.5)])
    expected = before.replace(b"1.00", b"0.5").replace(
        b"site: resid_post.1", b"site: resid_post.1\r\n        min_separation: 0.5"
    )
    assert path.read_bytes() == expected


def test_a_change_is_shown_as_diff_does(tmp_path):
    path = tmp_path / "a.coherence.yaml"
    path.write_text(LAYOUTS["block"])
    shown = change(path, propose(path, "max_area", 0.5)).splitlines()
    assert shown[:2] == [f"--- {path}", f"+++ {path} (proposed)"]
    assert [line for line in shown[2:] if line[0] in "+-"] == [
        "-        max_area: 1.00  # of either sign",
        "+        max_area: 0.5  # of either sign",
    ]
    assert path.read_text() == LAYOUTS["block"]


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "there.yaml", tmp_path / "a.coherence.yaml"
    target.write_text(LAYOUTS["block"])
    link.symlink_to(target)
    rewrite(link, propose(link, "max_area", 0.5))
    assert link.is_symlink()
    assert "max_area: 0.5" in target.read_text()


@pytest.mark.parametrize(
    ("old", "new", "key", "numbers"),
    [
        ("max_area: 1.00", "max_area: &area 1.00", "max_area", (0.5,)),
        ("      - property", "      - &all\n        property", "max_area", (0.5,)),
        ("- 0.9", "- &far 0.9", "tipping", (0.1, 0.8)),
        ("tipping:\n", "tipping: &tipping\n", "tipping", (0.2, 0.9)),
    ],
    ids=["number", "entry", "item", "range"],
)
def test_a_number_that_others_share_is_a_sentence(tmp_path, old, new, key, numbers):
    anchor = re.search(r"&\w+", new)[0]
    shared = {
        "&area": "\n      - {property: attractor, id: b, poles: [a, b], regimes: [prompt], "
        "site: resid_post.1, max_area: *area}",
        "&all": "",
    }
    path = tmp_path / "a.coherence.yaml"
    path.write_text(LAYOUTS["block"].replace(old, new) + shared.get(anchor, ""))
    found = propose(path, key, *numbers, index=0)
    if anchor == "&all":  # an entry that is named, and used by nobody else, can be changed
        assert change(path, found)
        return
    with pytest.raises(SuiteError, match=rf"yaml:\d+: {key} is written by an anchor or an alias"):
        change(path, found)


def test_an_alias_is_a_sentence(tmp_path):
    path = tmp_path / "a.coherence.yaml"
    path.write_text(LAYOUTS["flow"].replace("max_area: 1,", "max_area: &a 1,").replace("0.999", "*a"))
    with pytest.raises(SuiteError, match="max_area is written by an anchor or an alias"):
        change(path, propose(path, "max_area", 0.5, index=1))


def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path, monkeypatch):
    path = tmp_path / "a.coherence.yaml"
    path.write_text(LAYOUTS["block"])
    found = propose(path, "max_area", 0.5)

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(SuiteError, match=r"a\.coherence\.yaml cannot be written: No space left on device"):
        rewrite(path, found)
    assert path.read_text() == LAYOUTS["block"]
    assert list(tmp_path.iterdir()) == [path]
