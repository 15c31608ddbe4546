import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from coherence.errors import SuiteError
from coherence.suite.document import Document
from coherence.suite.document import read_document as _read_document
from coherence.suite.quota import Quota


def read_document(path) -> Document:
    return _read_document(path, Quota())


def test_every_key_and_item_has_its_line(write):
    document = read_document(write("a:\n  b: 1\n  c:\n    - x\n    -\n      d: y\n"))
    lines = {key: place.line for key, place in document.places.items()}
    assert lines == {
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "c"): 3,
        ("a", "c", 0): 4,
        ("a", "c", 1): 6,
        ("a", "c", 1, "d"): 6,
    }


def test_what_is_not_written_is_placed_at_what_is_around_it(write):
    document = read_document(write("a:\n  b: 1\n"))
    assert document.place(("a", "missing", 3)).line == 1


def test_keys_stay_as_they_were_written(write):
    assert read_document(write("on: 1\n1: 2\n")).data == {"on": 1, "1": 2}


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("", 1, "the file is empty"),
        ("# nothing\n", 1, "the file is empty"),
        ("- a\n- b\n", 1, "expected keys such as"),
        ("a: 1\nb:\n\t- c\n", 3, "indented by a tab"),
        ("a: 1\nb: [c\nd: e\n", 3, "not YAML"),
        ("a: b: c\n", 1, "not YAML"),
        ("a: 1\n---\nb: 2\n", 2, "not YAML"),
        ("a: 1\nb: *nothing\n", 2, "not YAML"),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", 4, "the key 'c' is written twice; first on line 3"),
        ("a: 1\nb: &loop\n  - *loop\n", 2, "alias"),
        ("a: 1\nb: !!python/name:os.system x\n", 2, "no meaning in a suite"),
        ("a: 1\nb: !!set {c}\n", 2, "no meaning in a suite"),
        ("a: 1\nb: 2024-13-45\n", 2, "a text needs quotes"),
        ("a: 1\nb: !!int x\n", 2, "a text needs quotes"),
        ("a: 1\nb: !!bool x\n", 2, "a text needs quotes"),
        ("a: 1\nb: !!timestamp x\n", 2, "a text needs quotes"),
        (f"a: {'[' * 900}{']' * 900}\n", 1, "more than 32 deep"),
        ("a: 1\n? [b]\n: c\n", 2, "expected a name before the colon"),
        ("a: 1\nb: \x01c\n", 2, "control character '\\x01'"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path, text, line, sentence):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(SuiteError) as caught:
        read_document(path)
    assert caught.value.place.line == line
    assert sentence in caught.value.sentence


def test_bytes_that_are_not_utf8_are_told_with_their_line(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes("a: 1\nb: caf\xe9\n".encode("latin-1"))
    with pytest.raises(SuiteError, match=r"latin\.yaml:2: expected UTF-8, found the byte 0xe9"):
        read_document(path)


def test_a_byte_order_mark_is_not_content(tmp_path):
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_document(path).data == {"a": 1}


def test_a_folder_is_no_suite(tmp_path):
    with pytest.raises(SuiteError, match="cannot be read"):
        read_document(tmp_path)


_texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=8,
)


@given(written=st.dictionaries(_texts, _values, min_size=1, max_size=4))
def test_reading_agrees_with_safe_load(tmp_path_factory, written):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump(written, allow_unicode=True), encoding="utf-8")
    assert read_document(path).data == yaml.safe_load(path.read_bytes())


def _data_or_line(path):
    try:
        return read_document(path).data
    except SuiteError as error:
        return error.place.line


@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused_with_a_line(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    assert isinstance(_data_or_line(path), dict | int)
