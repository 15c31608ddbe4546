"""`coherence fetch`."""

from coherence.cli import main


def test_fetch_says_where_the_reference_model_is(reference, capsys):
    assert main(["fetch"]) == 0
    assert capsys.readouterr().out == f"the reference model is in {reference}\n"


def test_fetch_says_why_it_cannot(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "file"))
    assert main(["fetch"]) == 4
    assert capsys.readouterr().err.startswith("coherence: the reference model cannot be kept in ")
