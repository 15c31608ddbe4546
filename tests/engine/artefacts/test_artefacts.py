import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.digests import file_digest, folder_digest
from coherence.engine.artefacts.memo import Stamp, remember
from coherence.errors import ArtefactError, MeasurementError, Place
from coherence.plan import Condition, Extract, Steer
from coherence.vocabulary import Position, Prompt, Site

Ship = Callable[..., Artefacts]
PLACES = {
    f"release.{name}": Place("suite.yaml", line)
    for line, name in enumerate(["base", "adapters.pirate", "vectors.pirate"], start=1)
}
BARE = Condition("Neutral.")


def extracted(site: str = "resid_post.1", text: str = "Arr.") -> Extract:
    persona = Condition("Neutral.", (Prompt(text=text),))
    return Extract(persona, BARE, Site.parse(site), Position.PROMPT_LAST)


def own(extract: Extract) -> dict[str, object]:
    source = {"extract": {"persona": "pirate", "site": str(extract.site)}}
    return {"vectors": {"pirate": source}, "extracts": {"pirate": extract}}


def test_digests_are_of_what_the_files_hold(
    artefacts: Ship, tiny: Path, tiny_adapter: Callable[..., Path], tiny_vector: Callable[..., Path]
) -> None:
    adapter, vector = tiny_adapter("pirate"), tiny_vector("pirate")
    release = artefacts(adapters={"pirate": adapter}, vectors={"pirate": vector})
    assert release.base_digest == folder_digest(tiny)
    assert release.adapter_digest("pirate") == folder_digest(adapter)
    assert release.vector_digest("pirate").split()[0] == file_digest(vector)


def test_vectors_that_are_orthonormalised_with_are_named(
    artefacts: Ship, tiny_vector: Callable[..., Path]
) -> None:
    release = artefacts(vectors={name: tiny_vector(name) for name in ("pirate", "counsel", "oncall")})
    steers = (Steer("pirate", 0.5, among=("counsel", "pirate")),)
    used = [one.name for one in release.files_in([Condition("", steers=steers)])]
    assert used == ["base", "vector counsel", "vector pirate"]


def test_what_a_vector_is_extracted_under_is_carried_too(artefacts: Ship) -> None:
    under = Extract(replace(BARE, adapters=(("mate", 1.0),)), BARE, Site.parse("resid_post.1"), Position.G1)
    source = {"extract": {"persona": "pirate", "site": "resid_post.1", "under": "mate"}}
    release = artefacts(vectors={"pirate": source}, extracts={"pirate": under})
    condition = replace(BARE, adapters=(("counsel", 0.5),), steers=(Steer("pirate", 0.5),))
    assert list(release.carried_by(condition)) == [
        ("adapters", "counsel"),
        ("vectors", "pirate"),
        ("adapters", "mate"),
    ]


def test_a_digest_is_taken_once(artefacts: Ship, tiny_vector: Callable[..., Path]) -> None:
    # What was measured at the start of a run must not be stored under what lies there at its end.
    vector = tiny_vector("pirate")
    release = artefacts(vectors={"pirate": vector})
    before = release.vector_digest("pirate")
    vector.write_bytes(b"another")
    assert release.vector_digest("pirate") == before
    assert artefacts(vectors={"pirate": vector}).vector_digest("pirate") != before


def test_what_is_forgotten_is_taken_anew(
    artefacts: Ship, tiny_adapter: Callable[..., Path], tiny_vector: Callable[..., Path]
) -> None:
    folder, vector = tiny_adapter("pirate"), tiny_vector("pirate")
    named = {"adapters": {"pirate": folder}, "vectors": {"pirate": vector}}
    digests = [folder_digest(folder), file_digest(vector)]
    lied = (folder / "adapter_config.json", vector)
    for file in lied:
        remember(file, Stamp.of(file.stat()), "0" * 64)
    assert artefacts(**named).adapter_digest("pirate") != digests[0]
    assert artefacts(**named).vector_digest("pirate").split()[0] == "0" * 64
    artefacts(**(named | {"base": "./nowhere"})).forget()
    assert artefacts(**named).adapter_digest("pirate") == digests[0]
    assert artefacts(**named).vector_digest("pirate").split()[0] == digests[1]


def test_where_a_vector_is_added_is_part_of_its_digest(artefacts: Ship, tmp_path: Path) -> None:
    path = tmp_path / "stack.pt"
    path.write_bytes(b"rows")
    digests = {
        artefacts(vectors={"pirate": {"path": str(path)} | more}).vector_digest("pirate")
        for more in [
            {},
            {"site": "resid_post.1"},
            {"site": "resid_post.2"},
            {"site": "resid_post.1", "layers": "hidden_states"},
            {"site": "resid_post.1", "key": "pirate"},
            {"site": "resid_post.1", "key": "lawyer"},
        ]
    }
    assert len(digests) == 6
    # What was measured before there were keys is found again.
    assert f"{file_digest(path)} resid_post.1 None" in digests


def test_a_vector_of_the_suite_is_what_it_is_made_of(artefacts: Ship) -> None:
    made = [extracted(), extracted("resid_post.2"), extracted(text="Ahoy.")]
    assert len({artefacts(**own(extract)).vector_digest("pirate") for extract in made}) == 3
    first, again = (artefacts(**own(extracted())).vector_digest("pirate") for _ in range(2))
    assert first == again


def test_what_is_missing_is_named_with_its_line(artefacts: Ship, tmp_path: Path) -> None:
    nothing = str(tmp_path / "nothing")
    release = artefacts(
        base=nothing, adapters={"pirate": nothing}, vectors={"pirate": nothing}, places=PLACES
    )
    with pytest.raises(
        ArtefactError, match=f"^suite.yaml:1: base '{nothing}': there is no folder {nothing}$"
    ):
        _ = release.base_digest
    with pytest.raises(
        ArtefactError, match=f"^suite.yaml:2: adapter 'pirate': there is no folder {nothing}$"
    ):
        release.adapter_digest("pirate")
    with pytest.raises(ArtefactError, match=f"^suite.yaml:3: vector 'pirate': {nothing} cannot be read: "):
        release.vector_digest("pirate")


def test_an_empty_folder_is_named_with_its_line(artefacts: Ship, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    release = artefacts(adapters={"pirate": tmp_path / "empty"}, places=PLACES)
    with pytest.raises(ArtefactError, match=r"^suite.yaml:2: adapter 'pirate': .* holds no model"):
        release.adapter_digest("pirate")


def test_a_problem_is_blamed_once_and_stays_what_it_is(artefacts: Ship) -> None:
    release = artefacts(places=PLACES)
    with (
        pytest.raises(MeasurementError) as caught,
        release.blaming("adapters", "pirate"),
        release.blaming("adapters", "pirate"),
    ):
        raise MeasurementError("went wrong")
    assert str(caught.value) == "suite.yaml:2: adapter 'pirate': went wrong"


def test_the_artefacts_of_a_condition(
    artefacts: Ship, tiny_adapter: Callable[..., Path], tmp_path: Path
) -> None:
    adapter = shutil.copytree(tiny_adapter("pirate"), tmp_path / "pirate")
    release = artefacts(adapters={"pirate": adapter, "other": tmp_path}, **own(extracted()))
    condition = Condition("Neutral.", (), (("pirate", 0.5),), (Steer("pirate", 1.0),))
    assert {one.name: one.said for one in release.files_in([condition, BARE])} == {
        "base": f"{release.release.base} {release.base_digest[:12]}",
        "adapter pirate": f"{adapter} {folder_digest(adapter)[:12]}",
        "vector pirate": f"extracted {release.vector_digest('pirate')[:12]}",
    }
    assert [one.name for one in release.files_in([BARE])] == ["base"]


def test_each_file_of_an_artefact_has_a_digest(
    artefacts: Ship, tiny_adapter: Callable[..., Path], tiny_vector: Callable[..., Path]
) -> None:
    adapter, vector = tiny_adapter("pirate"), tiny_vector("pirate")
    release = artefacts(adapters={"pirate": adapter}, vectors={"pirate": vector})
    condition = Condition("", (), (("pirate", 1.0),), (Steer("pirate", 1.0),))
    _, carried, steered = release.files_in([condition])
    assert carried.files == {
        name: file_digest(adapter / name) for name in ("adapter_config.json", "adapter_model.safetensors")
    }
    assert carried.digest == folder_digest(adapter)
    assert steered.files == {vector.name: file_digest(vector)}


def test_the_adapter_that_a_vector_is_extracted_under_takes_part(
    artefacts: Ship, tiny_adapter: Callable[..., Path]
) -> None:
    side = replace(extracted().positive, adapters=(("counsel", 1.0),))
    made = replace(extracted(), positive=side, negative=side)
    release = artefacts(adapters={"counsel": tiny_adapter("counsel"), "idle": "nowhere"}, **own(made))
    used = [one.name for one in release.files_in([Condition("", steers=(Steer("pirate", 1.0),))])]
    assert used == ["base", "vector pirate", "adapter counsel"]


def test_the_adapter_that_a_vector_is_extracted_under_is_part_of_its_digest(
    artefacts: Ship, tiny_adapter: Callable[..., Path]
) -> None:
    side = replace(extracted().positive, adapters=(("counsel", 1.0),))
    under = replace(extracted(), positive=side, negative=side)
    first, retrained = (
        artefacts(adapters={"counsel": tiny_adapter(f"counsel-{seed}", seed=seed)}, **own(under))
        for seed in (1, 2)
    )
    assert first.vector_digest("pirate") != retrained.vector_digest("pirate")
