"""The options of the plugin, declared once, and read from wherever they may stand."""

import os
from argparse import ArgumentTypeError
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import pytest

from coherence.errors import ServerError, did_you_mean
from coherence.served.address import Address
from coherence.vocabulary.policy import looks


class Setting(NamedTuple):
    """What a run is asked for by one option, and where that is written."""

    value: Any
    where: str
    file: Path | None = None
    """Of pytest's configuration: paths in it are beside it. Others are from the current folder."""

    @property
    def folder(self) -> Path:
        """What its paths are relative to."""
        return self.file.parent if self.file else Path()


_TRUTHS = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


def _truth(written: str) -> bool:
    if written.lower() not in _TRUTHS:
        raise ArgumentTypeError(f"expected true or false, found {written!r}")
    return _TRUTHS[written.lower()]


_EXPECTED = {"string": "a text", "bool": "true or false", "linelist": "a list of texts"}


@dataclass(frozen=True)
class Option:
    """One text, of which `parse` makes the value; its ArgumentTypeError says what was expected."""

    flag: str
    help: str
    metavar: str | None = None
    parse: Callable[[str], Any] = str
    default: Any = None
    in_environment: bool = False

    ini: ClassVar[Literal["string", "bool", "linelist"]] = "string"

    @property
    def key(self) -> str:
        """The key in pytest's configuration."""
        return self.flag.removeprefix("--").replace("-", "_")

    @property
    def variable(self) -> str | None:
        """The variable of the environment, for a CI to set."""
        return self.key.upper() if self.in_environment else None

    @property
    def text(self) -> str:
        """What `--help` says."""
        return f"{self.help} In the environment: {self.variable}." if self.variable else self.help

    @property
    def arguments(self) -> dict[str, Any]:
        """What argparse makes of it; None where it is not given, whatever the default."""
        return {"metavar": self.metavar, "type": self.parse}

    def read(self, setting: Setting) -> Setting:
        """Make the value of what is written; a UsageError says where it stands and what was expected."""
        if not isinstance(setting.value, str):
            return setting  # argparse has parsed it
        try:
            return setting._replace(value=self.parse(setting.value))
        except ArgumentTypeError as problem:
            raise pytest.UsageError(f"{setting.where}: {problem}") from None


@dataclass(frozen=True)
class Flag(Option):
    """On, or off."""

    default: Any = False
    parse: Callable[[str], Any] = _truth

    ini = "bool"

    @property
    def arguments(self) -> dict[str, Any]:
        """It takes no value on the command line."""
        return {"action": "store_true", "default": None}


@dataclass(frozen=True)
class File(Option):
    """A path."""

    metavar: str | None = "PATH"
    parse: Callable[[str], Any] = Path

    def read(self, setting: Setting) -> Setting:
        """Find the path from where it is written."""
        return setting._replace(value=setting.folder / setting.value)


@dataclass(frozen=True)
class Pairs(Option):
    """Names with a path each: one for each time that the option is given, or for each line of its key."""

    metavar: str | None = "NAME=PATH"

    ini = "linelist"

    @property
    def arguments(self) -> dict[str, Any]:
        """It may be given several times."""
        return {"metavar": self.metavar, "action": "append"}

    def read(self, setting: Setting) -> Setting:
        """Part the names from the paths; these stay as they are written, as one may be the id of a hub."""
        pairs = {}
        for written in setting.value:
            name, separator, path = written.partition("=")
            if not (name and separator and path):
                raise pytest.UsageError(f"{setting.where} {written!r}: expected NAME=PATH")
            pairs[name] = path
        return setting._replace(value=pairs)


@dataclass(frozen=True)
class Choice(Option):
    """One of a few words."""

    choices: tuple[str, ...] = ()
    metavar: str | None = "CHOICE"
    in_environment: bool = True

    def read(self, setting: Setting) -> Setting:
        """Refuse any other word."""
        if setting.value not in self.choices:
            hint = did_you_mean(setting.value, self.choices)
            raise pytest.UsageError(f"{setting.where}: unknown choice {setting.value!r}{hint}")
        return setting


def setting_of(config: pytest.Config, flag: str) -> Setting:
    """Read an option: the command line comes before the environment, that before pytest's configuration."""
    option = OPTIONS[flag]
    setting = _given(config, option) or _in_environment(option) or _configured(config, option)
    return option.read(setting) if setting else Setting(option.default, flag)


def _given(config: pytest.Config, option: Option) -> Setting | None:
    written = config.getoption(option.flag)
    return None if written is None else Setting(written, option.flag)


def _in_environment(option: Option) -> Setting | None:
    # A CI that leaves a variable empty asks for nothing.
    written = os.environ.get(option.variable) if option.variable else None
    return Setting(written, str(option.variable)) if written else None


def _configured(config: pytest.Config, option: Option) -> Setting | None:
    overridden = [pair.partition("=")[0].strip() for pair in config.getoption("override_ini", None) or ()]
    where = f"-o {option.key}" if option.key in overridden else f"{config.inipath}: {option.key}"
    try:
        written = config.getini(option.key)
    except (TypeError, ValueError, pytest.UsageError) as problem:
        raise pytest.UsageError(f"{where}: expected {_EXPECTED[option.ini]}: {problem}") from None
    return None if written in (None, "", []) else Setting(written, where, config.inipath)


def _choice(flag: str, what: str, *choices: str) -> Choice:
    """Declare a choice, the first of which is the default."""
    told = f"{what}: {' or '.join(choices)}. Default: {choices[0]}."
    return Choice(flag, told, default=choices[0], choices=choices)


def _whole(least: int) -> Callable[[str], int]:
    def parse(written: str) -> int:
        if not written.isdecimal() or int(written) < least:
            raise ArgumentTypeError(f"expected a whole number from {least} up, found {written!r}")
        return int(written)

    return parse


def _url(written: str) -> str:
    try:
        Address.parse(written)
    except ServerError as problem:
        raise ArgumentTypeError(problem.sentence) from None
    return written


def _looks(written: str) -> tuple[int, ...]:
    try:
        return looks(written)
    except ValueError as problem:
        raise ArgumentTypeError(str(problem)) from None


def _amount(written: str) -> float:
    try:
        number = float(written)
    except ValueError:
        number = -1.0
    if not 0 <= number < inf:
        raise ArgumentTypeError(f"expected a number from 0 up, found {written!r}")
    return number


_DECLARED = (
    Flag("--coherence", "Collect and judge *.coherence.yaml suites."),
    Option(
        "--coherence-base",
        "Base model in place of the suites' own: hub id, folder or 'reference'.",
        "MODEL",
    ),
    Pairs(
        "--coherence-adapter",
        "Adapter in place of the release's adapter of that name. Repeatable.",
        default={},
    ),
    Pairs(
        "--coherence-vector",
        "Vector file in place of the release's vector of that name. Repeatable.",
        default={},
    ),
    Choice(
        "--coherence-dtype",
        "What the base is computed in, in place of the suites' own: float32, bfloat16 or float16.",
        "DTYPE",
        choices=("float32", "bfloat16", "float16"),
    ),
    Option(
        "--coherence-served",
        "Server that the release is served by, in place of the suites' own, for the property served.",
        "URL",
        parse=_url,
        in_environment=True,
    ),
    Flag(
        "--coherence-served-fresh",
        "Ask the server again for what it answered before on this day.",
        in_environment=True,
    ),
    Option("--coherence-seed", "Seed in place of the suites' own.", "N", parse=_whole(0)),
    File("--coherence-store", "Where measurements are kept. Default: the user's cache."),
    File(
        "--coherence-store-from",
        "Another store, which is only read: what the own one lacks is taken from there.",
        in_environment=True,
    ),
    Flag(
        "--coherence-rehash",
        "Read every file of the release for its digest, also those that look as they did in an earlier run.",
        default=False,
        in_environment=True,
    ),
    Option(
        "--coherence-engine",
        "What measures: 'local', 'ray', or 'ray=ADDRESS' for a cluster that is there. Default: local.",
        "ENGINE",
        default="local",
        in_environment=True,
    ),
    Option(
        "--coherence-actors",
        "How many actors Ray measures with. Default: one per GPU, or per 4 cores.",
        "N",
        parse=_whole(1),
    ),
    Option(
        "--coherence-budget",
        "What measuring may take: a time in s, m or h (from the end of collection on, loading the model "
        "included), a number of calls, or both: 90s, 2m, '5000 calls' or '2m, 5000 calls'. A call is one "
        "measurement, of which a prompt may take several: a reply, its residuals, a score; a law's search is "
        "one too. Once it is spent no job is begun; what was measured is kept, and the next run goes on from "
        "there. An assertion that lacks measurements is inconclusive. Default: no end.",
        "BUDGET",
    ),
    _choice(
        "--coherence-adjust", "How fails are adjusted for the number of claims in the run", "holm", "none"
    ),
    Option(
        "--coherence-looks",
        "After how many probes to look at each assertion: one that is clear by then stops there, and its "
        "other probes are not measured. Errors stay as stated. Default: none, all probes are measured.",
        "N,N",
        parse=_looks,
        default=(),
        in_environment=True,
    ),
    _choice("--coherence-inconclusive", "What an inconclusive verdict does", "fail", "warn"),
    Flag(
        "--coherence-strict",
        "Make what is said of an artefact before it is measured, such as another base, tokenizer or scale "
        "than the others have, an error of every assertion that rests on it, which is then not measured.",
        in_environment=True,
    ),
    _choice(
        "--coherence-tier",
        "Which assertions are judged; smoke: those alone that the suites mark with `tier: smoke`",
        "full",
        "smoke",
    ),
    _choice(
        "--coherence-baseline-missing",
        "What is done where there is no baseline yet",
        "fail",
        "warn",
        "record",
    ),
    _choice(
        "--coherence-baseline-fail",
        "What since the baseline fails the run; vanished: what regressed as well",
        "regressed",
        "vanished",
        "none",
    ),
    _choice(
        "--coherence-annotations",
        "Commands that make GitHub show verdicts at their lines of the suites; auto: where it runs them",
        "auto",
        "github",
        "none",
    ),
    File(
        "--coherence-baseline",
        "Compare with what `coherence bless` wrote: what regressed, improved, appeared and vanished.",
    ),
    Option(
        "--coherence-baseline-tolerance",
        "How much worse is not a regression, in units of the statistic. Default: 0.05.",
        "X",
        parse=_amount,
        default=0.05,
    ),
    Flag(
        "--coherence-baseline-anyway",
        "Compare with a baseline of other probes or of another base as well.",
    ),
    File(
        "--coherence-results",
        "Where the results document is written. Default: coherence-results.json.",
        default=Path("coherence-results.json"),
    ),
    File("--coherence-junit", "Write a JUnit report of the verdicts."),
    File(
        "--coherence-markdown",
        "Write a summary in markdown; it is added to the file that is $GITHUB_STEP_SUMMARY.",
    ),
    Flag(
        "--coherence-junit-strict",
        "Leave out of the JUnit report what Jenkins' junit-10.xsd refuses (file and line).",
    ),
    File("--coherence-html", "Write a report to look at: one HTML file."),
    Pairs("--coherence-report", "Write a view that another package brings. Repeatable.", default={}),
)

OPTIONS = {option.flag: option for option in _DECLARED}
