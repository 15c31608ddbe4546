"""Checks of the installation."""

import numpy as np
import pytest

from coherence.doctor import installation
from coherence.doctor.check import Check, tried
from coherence.errors import CoherenceError
from coherence.store import Store


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COHERENCE_DEVICE", raising=False)
    return tmp_path / "cache"


def checked() -> dict[str, Check]:
    return {check.what: check for check in installation.installation()}


def test_this_installation_is_well_but_for_an_empty_cache(cache):
    found = checked()
    assert {name for name, check in found.items() if check.state == "fail"} == set()
    assert {"torch", "transformers", "peft", "device", "memory", "disk", "cache"} <= set(found)
    assert str(found["reference model"]) == (
        "warn  reference model: is not here yet; `coherence fetch` downloads its 93 MB"
    )
    assert found["store"].found == f"nothing was measured yet; it will be in {cache / 'store'}"


def test_the_reference_model_is_found_where_it_is(reference, monkeypatch):
    monkeypatch.setenv("COHERENCE_CACHE", str(reference.parent))
    assert checked()["reference model"] == Check("ok", "reference model", f"is in {reference}")


def test_a_cache_that_cannot_be_made_fails(cache):
    cache.touch()
    found = checked()["cache"]
    assert found.state == "fail"
    assert found.do == "set COHERENCE_CACHE to a folder that can be written"


def test_a_device_that_is_not_there_fails_and_the_rest_is_looked_at(cache, monkeypatch):
    monkeypatch.setenv("COHERENCE_DEVICE", "cuda:7")
    found = checked()
    assert found["device"].state == "fail"
    assert "COHERENCE_DEVICE is 'cuda:7', which this machine does not have" in found["device"].found
    assert found["disk"].state == "ok"


def test_damage_in_the_store_warns(cache):
    store = Store(cache / "store")
    for probe in range(2):
        store.put({"kind": "Reading", "base": "a", "probe": probe}, np.zeros(3, np.float32))
    assert checked()["store"].state == "ok"
    store.entries()[0].path.write_bytes(b"")
    found = checked()["store"]
    assert found.state == "warn"
    assert found.found.startswith("1 of 2 entries, ")
    assert "coherence store verify --remove" in found.do


def test_a_store_of_a_newer_version_fails(cache):
    (cache / "store" / "v9").mkdir(parents=True)
    assert "found layout v9" in checked()["store"].found


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("numpy>=999", ", expected >=999; pip install 'numpy>=999'"),
        ("no-such-package>=1", "is not installed; pip install 'no-such-package>=1'"),
    ],
)
def test_a_package_that_lacks_says_how_to_install_it(cache, monkeypatch, wanted, said):
    monkeypatch.setattr(installation, "requires", lambda name: [wanted, "ray>=2; extra == 'ray'"])
    fail, others, *_ = installation.installation()
    assert fail.state == "fail"
    assert str(fail).endswith(said)
    assert others.found.startswith("0 ")


def test_little_room_warns(cache, monkeypatch):
    monkeypatch.setattr(installation, "_ROOM", 10**18)
    found = checked()
    assert [found[what].state for what in ("disk", "memory")] == ["warn", "warn"]


@pytest.mark.parametrize("problem", [CoherenceError("a\nb"), OSError("a\nb"), ImportError("a\nb")])
def test_an_error_is_a_fail_in_one_line(problem):
    def look() -> str:
        raise problem

    assert str(tried("x", look, "mend it")) in ("fail  x: a b; mend it", "fail  x: a; mend it")
