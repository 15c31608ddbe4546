"""The comment on a pull request: posted once, then updated in place, on a service that is made up here."""

import json
import runpy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest

from coherence.reports.markdown import COMMENT_MARK

SCRIPT = Path(__file__).parents[2] / "ci" / "comment.py"
GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "me/it", "GITHUB_TOKEN": "t"}
GITLAB = {"CI_MERGE_REQUEST_IID": "7", "CI_PROJECT_ID": "3", "COHERENCE_TOKEN": "t"}
GITHUB_PATH, GITLAB_PATH = "/repos/me/it/issues/7/comments", "/projects/3/merge_requests/7/notes"
PATHS = {"PATCH": "/repos/me/it/issues/comments", "PUT": GITLAB_PATH}


class Service(BaseHTTPRequestHandler):
    """Keeps comments by their numbers; refuses whom it does not know."""

    def _answer(self, code, content):
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def _do(self):
        comments, place = self.server.comments, urlsplit(self.path)
        if "t" not in (self.headers.get("PRIVATE-TOKEN"), (self.headers["Authorization"] or "")[-1:]):
            return self._answer(401, {})
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length))["body"] if length else None
        if self.command in PATHS:
            folder, _, number = place.path.rpartition("/")
            assert folder == PATHS[self.command]
            comments[int(number)] = body
            return self._answer(200, {})
        assert place.path in (GITHUB_PATH, GITLAB_PATH)
        if self.command == "POST":
            comments[len(comments)] = body
            return self._answer(201, {})
        query = {name: int(value) for name, (value,) in parse_qs(place.query).items()}
        first = (query["page"] - 1) * query["per_page"]
        listed = [{"id": number, "body": text} for number, text in comments.items()]
        return self._answer(200, listed[first : first + query["per_page"]])

    do_GET = do_POST = do_PATCH = do_PUT = _do  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture
def service():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.comments = {number: f"talk {number}" for number in range(120)}
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["github", "gitlab"])
def environment(request, service):
    address = f"http://127.0.0.1:{service.server_port}"
    if request.param == "github":
        return GITHUB | {"GITHUB_API_URL": address, "GITHUB_REF": "refs/pull/7/merge"}
    return GITLAB | {"CI_API_V4_URL": address}


@pytest.fixture
def post(tmp_path):
    def post(text, environment):
        path = tmp_path / "comment.md"
        path.write_text(text)
        return runpy.run_path(str(SCRIPT))["main"](str(path), environment)

    return post


def test_the_second_push_updates_what_the_first_posted(service, environment, post, capsys):
    before = dict(service.comments)
    assert post(f"{COMMENT_MARK}\nred", environment) == 0
    assert post(f"{COMMENT_MARK}\ngreen", environment) == 0
    assert capsys.readouterr().out == "the comment is posted\nthe comment is updated\n"
    assert service.comments == {**before, 120: f"{COMMENT_MARK}\ngreen"}


def test_outside_of_a_pull_request_nothing_is_posted(service, post, capsys):
    assert post("text", GITHUB | {"GITHUB_REF": "refs/heads/main"}) == post("text", {}) == 0
    assert capsys.readouterr().out == "no pull request: nothing is posted\n" * 2


def test_a_token_that_may_not_write_or_is_not_there_is_said(environment, post, capsys):
    bad = environment | {"GITHUB_TOKEN": "no", "COHERENCE_TOKEN": "no"}
    assert post("text", bad) == 1
    assert "nothing is posted: HTTP Error 401" in capsys.readouterr().err
    without = {name: value for name, value in environment.items() if not name.endswith("_TOKEN")}
    assert post("text", without) == 1
    assert "_TOKEN' is not set: nothing is posted" in capsys.readouterr().err
