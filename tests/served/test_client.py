"""What goes wrong on the way to a server and back is a sentence, and never has the key."""

import socket
import ssl
import subprocess
import time
from dataclasses import replace

import pytest
from serving.unruly import Unruly, answer, saying

from coherence.errors import ServerError
from coherence.served.address import Address
from coherence.served.client import Client, Patience, RefusalError

HASTY = Patience(connect_s=1.0, answer_s=1.0, retries=2, pause_s=0.01, at_once=3)
LONG = answer("200 OK", " " * 1000)
FINE = answer("200 OK", '{"data": []}')


def got(url, patience=HASTY):
    with Client(Address.parse(url), patience) as client:
        return client.get("/v1/models", "the list of its models")


def said(url, patience=HASTY):
    with pytest.raises(ServerError) as problem:
        got(url, patience)
    return str(problem.value)


def test_an_object_is_returned():
    with Unruly(saying(FINE)).running() as url:
        assert got(url) == {"data": []}


def test_a_server_that_is_down():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    assert (
        said(url)
        == f"the server at {url} cannot be reached: [Errno 111] Connection refused; expected one that runs"
    )


def test_a_name_that_nobody_has():
    assert "cannot be reached" in said("http://no-such-host.invalid:8000")


def test_a_server_that_is_slow():
    with Unruly(lambda connection, request, turn: time.sleep(30)).running() as url:
        begun = time.monotonic()
        assert said(url).endswith("did not answer the list of its models within 1 s")
        assert time.monotonic() - begun < 5


def test_an_answer_that_trickles_is_slow_too():
    def trickle(connection, request, turn):
        connection.sendall(LONG[:200])
        for _ in range(100):
            time.sleep(0.1)
            connection.sendall(b"x")

    with Unruly(trickle).running() as url:
        begun = time.monotonic()
        assert said(url).endswith("within 1 s")
        assert time.monotonic() - begun < 5


def test_an_answer_that_breaks_off_is_asked_for_again_and_then_said():
    server = Unruly(lambda connection, request, turn: connection.sendall(FINE[:-4]))
    with server.running() as url:
        assert "broke off its answer to the list of its models" in said(url)
    assert len(server.requests) == 1 + HASTY.retries


def test_a_connection_that_broke_once_does_no_harm():
    server = Unruly(saying(b"", FINE))
    with server.running() as url:
        assert got(url) == {"data": []}


def test_a_redirect_is_not_followed():
    elsewhere = Unruly(saying(FINE))
    with elsewhere.running() as other:
        server = Unruly(saying(answer("302 Found", "", Location=f"{other}/v1/models")))
        with server.running() as url:
            assert f"redirects the list of its models to '{other}/v1/models'" in said(url)
    assert elsewhere.requests == []


@pytest.mark.parametrize("body", ["<!doctype html><title>Welcome</title>", "[1, 2]", "", "[" * 100_000])
def test_what_is_no_json_object(body):
    with Unruly(saying(answer("200 OK", body, "text/html"))).running() as url:
        assert "with text/html that begins" in said(url)


def test_a_wrong_key_and_a_lacking_one_are_told_apart_and_not_shown(monkeypatch):
    monkeypatch.setenv("THE_KEY", "sk-very-secret")
    refused = answer("401 Unauthorized", '{"error": {"message": "Incorrect key: sk-very-secret"}}')
    server = Unruly(saying(refused))
    with server.running() as url:
        assert said(url).endswith(
            "it wants a key; expected `key_env`, the variable of the environment that has it"
        )
        with Client(Address.parse(url, "THE_KEY"), HASTY) as client, pytest.raises(RefusalError) as problem:
            client.get("/v1/models", "the list of its models")
    assert str(problem.value).endswith("the key in THE_KEY is not one that it takes")
    assert "Bearer sk-very-secret" in server.requests[-1]


def test_a_key_that_a_server_repeats_is_blotted_out(monkeypatch):
    monkeypatch.setenv("THE_KEY", "sk-very-secret")
    refused = answer("400 Bad Request", '{"error": {"message": "no account of sk-very-secret"}}')
    with (
        Unruly(saying(refused)).running() as url,
        Client(Address.parse(url, "THE_KEY"), HASTY) as client,
        pytest.raises(RefusalError) as problem,
    ):
        client.get("/v1/models", "the list of its models")
    assert str(problem.value).endswith("refuses the list of its models with 400: no account of [key]")


def test_a_busy_server_is_asked_again():
    busy = answer("429 Too Many Requests", "{}", Retry_After="0")
    server = Unruly(saying(busy, answer("503 Service Unavailable", "{}"), FINE))
    with server.running() as url:
        assert got(url) == {"data": []}
    assert len(server.requests) == 3


def test_a_server_that_stays_busy_is_given_up():
    with Unruly(saying(answer("503 Service Unavailable", '{"detail": "loading"}'))).running() as url:
        assert said(url).endswith("refuses the list of its models with 503 after 3 tries: loading")


def test_a_pause_that_is_asked_for_is_bounded():
    busy = answer("429 Too Many Requests", "{}", Retry_After="86400")
    with Unruly(saying(busy, FINE)).running() as url:
        assert got(url, replace(HASTY, longest_s=0.05)) == {"data": []}


def test_a_certificate_that_does_not_check(tmp_path):
    files = ["-keyout", "key.pem", "-out", "cert.pem"]
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=elsewhere",
    ]
    subprocess.run([*made, *files], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with Unruly(saying(FINE), context).running() as url:
        assert f"the server at {url} has a certificate that does not check: " in said(url)


def test_proxies_of_the_environment_are_not_talked_to(monkeypatch):
    proxy = Unruly(saying(FINE))
    with proxy.running() as other, Unruly(saying(FINE)).running() as url:
        monkeypatch.setenv("HTTP_PROXY", other)
        monkeypatch.setenv("ALL_PROXY", other)
        got(url)
    assert proxy.requests == []


def test_an_endless_answer_is_cut(monkeypatch):
    monkeypatch.setattr("coherence.limits.ANSWER_BYTES", 1_000_000)

    def pour(connection, request, turn):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
        while True:
            connection.sendall(b" " * 65536)

    with Unruly(pour).running() as url:
        assert "with more than 1,000,000 bytes" in said(url)


def test_many_are_asked_at_once_and_all_outcomes_are_told():
    def behave(connection, request, turn):
        time.sleep(0.3)
        fine = "/3 " not in request
        connection.sendall(FINE if fine else answer("400 Bad Request", '{"detail": "not three"}'))

    with Unruly(behave).running() as url, Client(Address.parse(url), HASTY) as client:
        begun = time.monotonic()
        outcomes = dict(client.each(range(6), lambda task: client.get(f"/{task}", f"number {task}")))
        took = time.monotonic() - begun
    assert outcomes.keys() == {*range(6)}
    assert "refuses number 3 with 400: not three" in str(outcomes.pop(3))
    assert all(one == {"data": []} for one in outcomes.values())
    assert 0.6 <= took < 1.5


def test_the_rest_is_not_tried_when_nobody_answers():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        begun = time.monotonic()
        with Client(Address.parse(url), replace(HASTY, answer_s=0.2)) as client:
            outcomes = dict(client.each(range(200), lambda task: client.get(f"/{task}", f"number {task}")))
    assert time.monotonic() - begun < 5
    assert all(isinstance(one, ServerError) for one in outcomes.values())


def test_where_all_was_broken_off_the_rest_does_not_wait_to_be_told():
    server = Unruly(lambda connection, request, turn: connection.sendall(FINE[:-4]))
    patience = replace(HASTY, pause_s=0.1)
    begun = time.monotonic()
    with server.running() as url, Client(Address.parse(url), patience) as client:
        outcomes = dict(client.each(range(200), lambda task: client.get(f"/{task}", f"number {task}")))
    assert time.monotonic() - begun < 5
    assert all("broke off its answer to" in str(one) for one in outcomes.values())
