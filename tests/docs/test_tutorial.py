"""docs/tutorial.md, followed: its commands in one shell, on the reference model, and what they print.

Measurements go to the user's own store, so that repeating this is quick. Installation alone is left out.
"""

import math
import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(sh|text|yaml)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-\d+)?")
UNSTEADY = re.compile(
    r"\d{4}-\d\d-\d\dT\S+|(?<= in )[\d.]+ s\b|([─-])\1+|(?<=p = )[\d.e-]+|(?<=Holm: )[\d.e-]+"
)
ENDS = "== end of a block =="


def step(language, text):
    """What the reader does with a block: types it, or writes the file that its first line names."""
    if language == "text" or "pip install" in text:
        return ""
    if language == "sh":
        return f"{text}echo '{ENDS}'\n"
    return f"cat > {text.partition('# ')[2].partition(chr(10))[0]} <<'END'\n{text}END\n"


def follow(folder, commands):
    """Type everything into one shell; what each block of commands printed."""
    own = ("GITHUB_", "CI", "PYTEST_", "COHERENCE_TIER")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)} | {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "100",
        **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    typed = "".join(step(language, text) for language, text in BLOCKS)
    shell = subprocess.run(
        ["bash", "-c", typed],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    return iter(shell.stdout.split(f"{ENDS}\n"))


def same(shown, printed):
    """Whether two lines say the same: their words do, and their numbers nearly."""
    first, second = (" ".join(UNSTEADY.sub("", line).split()) for line in (shown, printed))
    numbers = zip(NUMBER.findall(first), NUMBER.findall(second), strict=False)
    return NUMBER.sub("0", first) == NUMBER.sub("0", second) and all(
        math.isclose(float(one), float(other), rel_tol=0.15, abs_tol=0.08) for one, other in numbers
    )


def missing(shown, printed):
    """Lines of the page that were not printed, or not in this order."""
    lines = iter(printed.splitlines())
    return [
        line for line in shown.splitlines() if line != "..." and not any(same(line, one) for one in lines)
    ]


def test_what_is_shown_is_what_is_printed(tmp_path, reference, warm_python):
    clone = tmp_path / "clone"
    clone.mkdir()
    for folder in ("fixtures", "ci"):
        (clone / folder).symlink_to(ROOT / folder)
    printed = follow(clone, warm_python.parent)
    said, wrong = "", []
    for language, text in BLOCKS:
        if language == "sh" and "pip install" not in text:
            said = next(printed)
        elif language == "text" and (lines := missing(text, said)):
            wrong.append(f"{lines}\nwere not printed here:\n{said}")
    assert not wrong, "\n\n".join(wrong)
    assert (tmp_path / "personas" / "report.html").stat().st_size > 10_000


def test_other_words_numbers_and_orders_are_told_apart():
    assert same("cosine  0.45 [0.43, 0.47]  pass in 33 s", "cosine 0.44 [0.43, 0.46] pass in 0.6 s")
    assert not same("cosine 0.45 pass", "cosine 0.45 fail")
    assert not same("exit code 1", "exit code 0")
    assert missing("a\n...\nc\n", "a\nb\nc\n") == []
    assert missing("c\na\n", "a\nb\nc\n") == ["a"]
