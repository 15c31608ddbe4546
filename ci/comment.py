"""Post the summary of a run as a comment on its pull request, or put it in the place of the last one.

    coherence report coherence-results.json --comment coherence-comment.md
    python ci/comment.py coherence-comment.md

On GitHub it needs GITHUB_TOKEN with `pull-requests: write`; on GitLab COHERENCE_TOKEN, a project's access
token with the scope `api`. The other variables are those that the services set. Outside of a pull request
nothing is posted.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

_PAGE = 100
_TIMEOUT_S = 30


@dataclass(frozen=True)
class Comments:
    """Comments on a pull request: where they are listed, where each of them is, and how one is changed."""

    listed: str
    each: str
    headers: Mapping[str, str]
    change: str

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Comments | None":
        """Find them by what the service says of the job; None where it is of no pull request."""
        if environment.get("GITHUB_ACTIONS") == "true":
            return cls._github(environment)
        if "CI_MERGE_REQUEST_IID" in environment:
            return cls._gitlab(environment)
        return None

    @classmethod
    def _github(cls, environment: Mapping[str, str]) -> "Comments | None":
        refs, kind, number, *_ = [*environment.get("GITHUB_REF", "").split("/"), "", "", ""]
        if (refs, kind) != ("refs", "pull"):
            return None
        issues = f"{environment['GITHUB_API_URL']}/repos/{environment['GITHUB_REPOSITORY']}/issues"
        headers = {"Authorization": f"Bearer {environment['GITHUB_TOKEN']}"}
        return cls(f"{issues}/{number}/comments", f"{issues}/comments", headers, "PATCH")

    @classmethod
    def _gitlab(cls, environment: Mapping[str, str]) -> "Comments":
        project = f"{environment['CI_API_V4_URL']}/projects/{environment['CI_PROJECT_ID']}"
        notes = f"{project}/merge_requests/{environment['CI_MERGE_REQUEST_IID']}/notes"
        return cls(notes, notes, {"PRIVATE-TOKEN": environment["COHERENCE_TOKEN"]}, "PUT")

    def put(self, text: str) -> str:
        """Replace the comment that begins with the text's first line, or post one; say which it was."""
        mark = text.split("\n", 1)[0]
        last = next((one["id"] for one in self._all() if one["body"].startswith(mark)), None)
        if last is None:
            self._call("POST", self.listed, {"body": text})
            return "posted"
        self._call(self.change, f"{self.each}/{last}", {"body": text})
        return "updated"

    def _all(self) -> Iterator[dict[str, Any]]:
        page = 1
        while several := json.loads(self._call("GET", f"{self.listed}?per_page={_PAGE}&page={page}")):
            yield from several
            if len(several) < _PAGE:
                return
            page += 1

    def _call(self, method: str, url: str, content: object = None) -> bytes:
        data = None if content is None else json.dumps(content).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json", **self.headers}
        with urlopen(Request(url, data, headers, method=method), timeout=_TIMEOUT_S) as response:
            answer: bytes = response.read()
            return answer


def main(path: str, environment: Mapping[str, str]) -> int:
    """Put the file's text on the pull request; 0 where there is none, 1 with a sentence where it cannot."""
    try:
        comments = Comments.of(environment)
        if comments is None:
            print("no pull request: nothing is posted")
            return 0
        print(f"the comment is {comments.put(Path(path).read_text(encoding='utf-8'))}")
    except KeyError as missing:
        print(f"the variable {missing} is not set: nothing is posted", file=sys.stderr)
        return 1
    except (OSError, URLError) as problem:
        print(f"nothing is posted: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], os.environ))
