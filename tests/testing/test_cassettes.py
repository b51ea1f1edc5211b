"""A cassette answers exactly what is in it, says where it comes from, and nothing goes to the network."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from canary import Canary, CanaryTool

from hub.testing.cassettes import CassetteError, cassette, origin_of, replaying

ROOT = Path(__file__).parents[2]
OURS = sorted(ROOT.glob("plugins/*/tests/cassettes/*.yaml"))
ORIGIN = '# origin: written from the page "Birds", not a recording\n'
EXCHANGE = """\
- request:
    method: {method}
    uri: {uri}
    body: '{body}'
    headers: {{content-type: [{kind}]}}
  response:
    status: {{code: 200, message: OK}}
    headers: {{content-type: [application/json]}}
    body: {{string: '{{"n": {n}}}'}}
"""
CLIENT = httpx.Client(verify=False)  # nothing is sent, and reading root certificates takes long
FORM = "application/x-www-form-urlencoded"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(*exchanges: dict[str, Any], origin: str = ORIGIN) -> Path:
        path = tmp_path / "birds.yaml"
        given = {
            "method": "POST",
            "uri": "https://birds.example/search",
            "body": '{"q": "owl"}',
            "kind": "application/json",
        }
        parts = [EXCHANGE.format(**{**given, "n": n, **each}) for n, each in enumerate(exchanges, 1)]
        path.write_text(f"{origin}interactions:\n{''.join(parts)}")
        return path

    return make


def ask(body: str = '{"q": "owl"}', path: str = "search", kind: str = "application/json", method: str = "POST") -> Any:
    content, headers = (body.encode(), {"content-type": kind}) if body else (None, {})
    return CLIENT.request(method, f"https://birds.example/{path}", content=content, headers=headers).json()["n"]


@pytest.mark.block_network
def test_the_same_request_gets_its_answers_in_order(write: Write) -> None:
    with cassette(write({}, {"body": '{"q": "jay"}'}, {})):
        assert [ask(), ask(), ask('{ "q":"jay" }')] == [1, 3, 2], "as values, not as bytes"


@pytest.mark.block_network
@pytest.mark.parametrize(
    ("call", "told"),
    [
        ({"body": '{"q": "jay"}'}, 'the body is {"q": "jay"}, in the cassette {"q": "owl"}'),
        ({"path": "search?page=2"}, "https://birds.example/search?page=2 is asked for, https://birds.example/search is there"),
        ({"path": "nests"}, "https://birds.example/nests is asked for"),
        ({"method": "PUT"}, "has no answer to PUT https://birds.example/search"),
    ],
)  # fmt: skip
def test_a_request_that_is_not_in_it_is_refused(write: Write, call: dict[str, str], told: str) -> None:
    path = write({})
    with pytest.raises(CassetteError) as caught, cassette(path):
        ask(**call)
    assert told in str(caught.value)
    assert str(caught.value).startswith(f"{path} has no answer to ")
    assert "Fix: " in str(caught.value)


def test_an_answer_is_given_once(write: Write) -> None:
    with pytest.raises(CassetteError, match="more often than it is in there"), cassette(write({})):
        ask(), ask()


def test_an_answer_nobody_asked_for_is_an_error(write: Write) -> None:
    path = write({}, {"uri": "https://birds.example/search?page=2"})
    told = r"nobody asked for POST https://birds\.example/search\?page=2"
    with pytest.raises(CassetteError, match=told), cassette(path):
        ask()


@pytest.mark.block_network
def test_credentials_differ_from_account_to_account_and_are_not_compared(write: Write) -> None:
    form = {"body": "grant_type=refresh_token&refresh_token=hidden&scope=birds", "kind": FORM}
    query = {"method": "GET", "uri": "https://birds.example/me?b=2&a=1&api_key=hidden", "body": ""}
    secret = {"body": '{"q": "owl", "access_token": "hidden"}'}
    with cassette(write(form, query, secret)):
        assert ask('{"q": "owl", "access_token": "mine"}') == 3
        assert ask("grant_type=refresh_token&refresh_token=mine&scope=birds", kind=FORM) == 1
        assert ask("", "me?a=1&api_key=mine&b=2", method="GET") == 2
    with pytest.raises(CassetteError), cassette(write(form)):
        ask("grant_type=refresh_token&refresh_token=mine&scope=fish", kind=FORM)


@pytest.mark.parametrize(
    "origin",
    ["", "# origin: recorded by me\n", "# origin: written from memory\n", "\n" + ORIGIN, "# origin: written from , not a recording\n"],
)  # fmt: skip
def test_a_cassette_says_where_it_comes_from(write: Write, origin: str) -> None:
    path = write({}, origin=origin)
    with pytest.raises(CassetteError) as caught, cassette(path):
        pass
    assert str(path) in str(caught.value)
    assert 'Fix: let its first line be "# origin: written from' in str(caught.value)


def test_a_cassette_that_is_not_there(tmp_path: Path) -> None:
    with (
        pytest.raises(CassetteError, match="there is no cassette .*absent.yaml. Fix:"),
        cassette(tmp_path / "absent.yaml"),
    ):
        pass


@pytest.mark.anyio
async def test_the_vendor_hears_nothing_of_a_replay(write: Write) -> None:
    """The connector's own client, and a server that listens at the very address of the cassette."""
    with CanaryTool().serve() as running:
        path = write({"method": "GET", "uri": f"{running.url}/u/7", "body": ""})
        given = {"base_url": f"{running.url}/", "mailbox": "a@b.example", "client_secret": "x", "refresh_token": "y"}
        async with replaying(Canary, given, path) as bird:
            assert await bird.http.json("GET", "u/7") == {"n": 1}
            assert bird.http.requests == 1
        assert running.emulator.requests == []


def test_the_page_shows_code_that_runs() -> None:
    page = (ROOT / "docs/cassettes.md").read_text("utf-8")
    [(file, code)] = re.findall(r"```python\n# (\S+)\n(.*?)```", page, re.DOTALL)
    shown, real = code.split("\n\n\n"), (ROOT / file).read_text("utf-8")
    assert [part for part in shown if part.strip() not in real] == []
    known = inspect.signature(replaying).parameters
    [called] = re.findall(r"`hub\.testing\.cassettes\.replaying\((.*?)\)`", page)
    defaults = {n: p.default for n, p in known.items() if p.default not in {inspect.Parameter.empty, None}}
    told = ", ".join([*list(known)[:3], *(f"{n}={v!r}".replace("'", '"') for n, v in defaults.items())])
    assert called == told


def test_there_are_cassettes_for_every_tool() -> None:
    per_tool = {
        tool: sum(f"/{tool}/" in p.as_posix() for p in OURS)
        for tool in ("gmail", "calendar", "zendesk", "hubspot", "mailchimp")
    }
    assert all(n >= 3 for n in per_tool.values()), per_tool


@pytest.mark.parametrize("path", OURS, ids=lambda p: f"{p.parts[-4]}/{p.stem}")
def test_ours_hold_nobody_and_pretend_nothing(path: Path) -> None:
    text = path.read_text("utf-8")
    is_recorded = path.stem.startswith("recorded-")
    assert origin_of(path).startswith("recorded" if is_recorded else "written from "), "a name must not say otherwise"
    assert is_recorded or path.stat().st_size < 6000
    people = re.findall(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", text)
    assert [p for p in people if not p.endswith((".example", "@resource.calendar.google.com"))] == []
    assert not re.search(r"Bearer |eyJ[\w-]{10}|ya29\.|pat-[a-z]{2}\d|-----BEGIN|xox[bp]-|[0-9a-f]{32}-us\d", text)
    assert "authorization" not in text.lower()
    assert "cookie" not in text.lower()
