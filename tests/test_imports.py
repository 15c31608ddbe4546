"""The plugin is inert unless asked, and the stages import one way."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

HEAVY = {"torch", "transformers", "peft", "scipy", "hypothesis", "numpy"}


def test_the_plugin_imports_nothing_heavy(pytestconfig):
    code = "import sys, coherence.plugin; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=pytestconfig.rootpath, capture_output=True, text=True, check=True
    )
    assert HEAVY & set(run.stdout.split()) == set()


def test_a_plain_run_elsewhere_is_left_alone(pytester, monkeypatch):
    # Without the other plugins of this environment, some of which import hypothesis themselves.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makefile(".yaml", **{"suites/pirate": "coherence: 1\n"})
    pytester.makepyfile(f"import sys\ndef test_light():\n    assert {HEAVY} & set(sys.modules) == set()\n")
    run = pytester.runpytest_subprocess("-p", "coherence.plugin", "-p", "no:cacheprovider")
    run.assert_outcomes(passed=1)
    assert "coherence" not in run.stdout.str() + run.stderr.str()


def test_the_import_contracts_hold(pytestconfig):
    # In a process of its own: it switches the loggers of this one off.
    linter = Path(sys.executable).with_name("lint-imports")
    given = ["--config", str(pytestconfig.rootpath / "pyproject.toml"), "--no-cache", "--no-logo"]
    run = subprocess.run([linter, *given], capture_output=True, text=True, cwd=pytestconfig.rootpath)
    assert run.returncode == 0, run.stdout


def test_no_two_modules_share_a_stem_and_no_two_public_classes_a_name(pytestconfig):
    package = pytestconfig.rootpath / "coherence"
    paths = [path for path in package.rglob("*.py") if path.stem != "__init__"]
    # A module of `cli` is named after its command, whatever that uses.
    stems = Counter(path.stem for path in paths if path.parent.name != "cli")
    classes = Counter(
        node.name
        for path in paths
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, times in (stems + classes).items() if times > 1] == []
