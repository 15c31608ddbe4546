"""How long persona space takes: roles and personas in their places, and a vector at every site."""

import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from functools import partial
from pathlib import Path

import yaml
from ours import Ours
from rounds import alternate, ratios, spread, table, timed
from work import ROOT

from coherence.plan import Scene
from coherence.vocabulary import Band

ALLOWED_SECONDS = 240
"""What forty roles, and six personas in three regimes, may take with an empty store."""
ALLOWED_TIMES_ONE = 3
"""What a vector at all sites may cost of the same at one."""
ONE, ALL = "resid_post.10", "resid_post.0..29"


def roles(given: Namespace) -> None:
    """Time `space` as a user has it, as a process of its own: by prompt, adapter and vector."""
    rows = []
    for turn in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder:
            seconds, said = _space(Path(folder), roles=4 if given.quick else 40)
        rows.append((str(turn + 1), f"{seconds:.1f}", said))
    table("Roles, personas and three regimes, cold", ("round", "seconds", "said"), rows)
    slowest = max(float(seconds) for _, seconds, _ in rows)
    if slowest > ALLOWED_SECONDS:
        raise SystemExit(f"FAILED: {slowest:.0f} s, where {ALLOWED_SECONDS} are allowed")


def _space(folder: Path, roles: int) -> tuple[float, str]:
    """Judge the shipped suite's release with so many roles; return seconds, and how it ended."""
    shipped = yaml.safe_load((ROOT / "suites" / "space" / "space.coherence.yaml").read_text())
    whole = [one | {"roles": roles} for one in shipped["assertions"] if "min_contained" in one]
    include = str(ROOT / "fixtures" / "company.yaml")
    suite = folder / "roles.coherence.yaml"
    suite.write_text(yaml.safe_dump({"coherence": 1, "include": [include], "assertions": whole}))
    command = [sys.executable, "-m", "pytest", "--coherence", str(suite), "-q"]
    options = ["--coherence-store", str(folder / "store"), "-p", "no:cacheprovider"]
    started = time.perf_counter()
    ended = subprocess.run([*command, *options], cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    seconds, (*_, said) = time.perf_counter() - started, ended.stdout.strip().splitlines()
    if ended.returncode > 1:
        raise SystemExit(f"FAILED: the run broke: {said}")
    return seconds, said


def sweep(scene: Scene, ours: Ours, given: Namespace) -> None:
    """Time the pirate's vector at one site, and at each of thirty, for one token of the reply and for ten."""
    rows = []
    for tokens in (1, 10):
        variants = {
            band: timed(partial(ours.sweep, scene, Band.parse(band).sites, tokens)) for band in (ONE, ALL)
        }
        seconds, _ = alternate(variants, given.rounds)
        times = ratios(seconds[ALL], seconds[ONE])
        rows.append((str(tokens), spread(seconds[ONE], ".1f"), spread(seconds[ALL], ".1f"), spread(times)))
        if not given.quick and min(times) >= ALLOWED_TIMES_ONE:
            raise SystemExit(f"FAILED: all sites cost {ALLOWED_TIMES_ONE} times one, or more")
    table("A vector at every site", ("tokens", f"s, {ONE}", f"s, {ALL}", "times one"), rows)
