import pytest

from coherence.errors import ServerError
from coherence.served.address import Address


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000",
        "http://127.0.0.1:8000/",
        "http://127.0.0.1:8000/v1",
        " http://127.0.0.1:8000/v1/ ",
    ],
)
def test_the_root_is_the_same_however_it_is_written(url):
    assert str(Address.parse(url)) == "http://127.0.0.1:8000"


def test_a_path_before_v1_is_kept():
    assert str(Address.parse("https://api.example.com/openai/v1")) == "https://api.example.com/openai"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("127.0.0.1:8000", "expected http or https"),
        ("ftp://127.0.0.1", "expected http or https"),
        ("http://", "expected http or https"),
        ("http://127.0.0.1:port", "as the URL of a server"),
        ("http://127.0.0.1:8000/?key=abc", "goes on after its path"),
        ("http://me:secret@127.0.0.1:8000", "has a user or password in it"),
    ],
)
def test_what_is_no_root_is_a_sentence_without_secrets(url, said):
    with pytest.raises(ServerError, match=said) as problem:
        Address.parse(url)
    assert "secret" not in str(problem.value)
    assert "abc" not in str(problem.value)


def test_the_key_is_read_from_the_environment_and_shown_nowhere(monkeypatch):
    monkeypatch.setenv("THE_KEY", "sk-very-secret")
    address = Address.parse("http://127.0.0.1:8000", "THE_KEY")
    assert address.headers == {"Authorization": "Bearer sk-very-secret"}
    assert "sk-very-secret" not in repr(address) + str(address)
    assert address.without_key("wrong key sk-very-secret!") == "wrong key [key]!"


@pytest.mark.parametrize(
    ("value", "said"), [("", "has no THE_KEY"), ("sch\u00fcssel", "expected plain ASCII")]
)
def test_a_key_that_is_none_is_a_sentence(monkeypatch, value, said):
    monkeypatch.setenv("THE_KEY", value)
    with pytest.raises(ServerError, match=said) as problem:
        Address.parse("http://127.0.0.1:8000", "THE_KEY")
    assert not value or value not in str(problem.value)
