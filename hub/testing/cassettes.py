"""Cassettes: exchanges with a vendor kept in a file, played back through a connector's real HTTP client.

In: `name.yaml`, vcrpy's format, whose first line says where it comes from. Out: the answers, each to exactly the request
that stands before it (method, address, query and body); anything else is an error, and nothing ever goes to the
network. How to write one and how to record one: docs/cassettes.md.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import httpx
import yaml  # type: ignore[import-untyped]
from vcr import VCR  # type: ignore[import-untyped]
from vcr.cassette import Cassette  # type: ignore[import-untyped]
from vcr.errors import CannotOverwriteExistingCassetteException  # type: ignore[import-untyped]
from vcr.request import Request  # type: ignore[import-untyped]
from vcr.serialize import deserialize, serialize  # type: ignore[import-untyped]
from vcr.serializers import yamlserializer  # type: ignore[import-untyped]

from hub.api import Connector, FakeClock, Services, StaticToken
from hub.testing.scrub import CREDENTIAL, HIDDEN, Scrubber, is_credential

C = TypeVar("C", bound=Connector[Any])

ORIGIN = re.compile(r"# origin: (recorded \d{4}-\d\d-\d\d from .+|written from .+, not a recording)")
NO_ORIGIN = (
    "{path} does not say where it comes from. Fix: let its first line be \"# origin: written from <the vendor's page or "
    'specification>, not a recording"; only `make record` writes "# origin: recorded ..."'
)
KEPT_ASKED = {"content-type", "accept", "if-match", "idempotency-key"}
KEPT_ANSWERED = re.compile(r"content-type|etag|retry-after|link|location|.*rate-?limit.*|.*-warn|.*idempotency.*")


class CassetteError(AssertionError):
    """A cassette is missing, does not say where it comes from, or does not fit what was asked of it."""


def origin_of(path: Path) -> str:
    """What the first line says. Raises CassetteError naming the file and the fix."""
    if not path.is_file():
        raise CassetteError(f"there is no cassette {path}. Fix: write it or record it, as docs/cassettes.md says")
    with path.open(encoding="utf-8") as file:
        found = ORIGIN.fullmatch(file.readline().rstrip("\n"))
    if found is None:
        raise CassetteError(NO_ORIGIN.format(path=path))
    return found[1]


@contextmanager
def cassette(path: Path) -> Iterator[Cassette]:
    """Plays `path` to whatever httpx sends within the block; it must be asked for all that is in it.

    Raises CassetteError: no such file, no origin, a request that is not in it, an answer nobody asked for.
    """
    origin_of(path)
    with (
        _told(path),
        _vcr(_Files(""), before_record_request=mask).use_cassette(str(path), record_mode="none") as playing,
    ):
        yield playing
    left = [_words(r) for i, r in enumerate(playing.requests) if not playing.play_counts[i]]
    if left:
        raise CassetteError(f"{path}: nobody asked for {'; '.join(left)}. Fix: take it out, or ask for it")


@contextmanager
def recording(path: Path, head: str, scrub: Scrubber) -> Iterator[Cassette]:
    """Sends what is asked within the block and keeps it scrubbed in `path`, under `head`; sign-ins are not kept."""

    def asked(request: Request) -> Request | None:
        if b"grant_type=" in (request.body or b""):
            return None
        kept = {k.lower(): v for k, v in request.headers.items() if k.lower() in KEPT_ASKED}
        body = scrub.body(request.body, kept.get("content-type", "")) if request.body else request.body
        return mask(Request(request.method, scrub.url(request.uri), body, kept))

    def answered(response: dict[str, Any]) -> dict[str, Any]:
        headers = {k.lower(): v for k, v in response["headers"].items()}
        kept = {k: [scrub.plain(each) for each in v] for k, v in headers.items() if KEPT_ANSWERED.fullmatch(k)}
        status, kind = response["status"], headers.get("content-type", [""])[0]
        body = scrub.body(response["body"]["string"], kind, status["code"] >= 400)
        return {"status": status, "headers": kept, "body": {"string": body}}

    vcr = _vcr(_Files(head), before_record_request=asked, before_record_response=answered)
    with vcr.use_cassette(str(path), record_mode="all") as kept:
        yield kept


@asynccontextmanager
async def replaying(
    connector: type[C], settings: Mapping[str, Any] | Any, path: Path, *, at: str | datetime = "2026-03-10T12:00:00Z",
    signs_in: bool = False, transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[C]:  # fmt: skip
    """A connector that lives in the world of a cassette: `at` is now, and it has a token already.

    settings: as in hub.toml, or the model itself. signs_in: the cassette holds the exchange for the token, too.
    """
    model = connector.settings_model.model_validate(settings) if isinstance(settings, Mapping) else settings
    now = datetime.fromisoformat(at) if isinstance(at, str) else at
    # Without TLS: nothing is sent, and reading root certificates takes longer than the test.
    inner = transport or httpx.AsyncHTTPTransport(verify=False)
    found = connector(model, Services("cassette", FakeClock(now), transport=inner, jitter=lambda: 0.5))
    if not signs_in and found.http.profile.token is not None:
        found.http.profile = replace(found.http.profile, token=StaticToken(HIDDEN))
    try:
        with cassette(path):
            yield found
    finally:
        await found.aclose()


def mask(request: Request) -> Request:
    """The request without its credentials, which tests and accounts have different ones of: as it is compared."""
    parts = urlsplit(request.uri)
    query = urlencode(_masked(parse_qsl(parts.query, keep_blank_values=True)))
    body = request.body
    if body and "x-www-form-urlencoded" in str(request.headers.get("content-type", "")):
        body = urlencode(_masked(parse_qsl(body.decode(), keep_blank_values=True))).encode()
    return Request(request.method, urlunsplit((*parts[:3], query, "")), body, request.headers)


def _masked(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(k, HIDDEN if v and is_credential(k) else v) for k, v in pairs]


def address(one: Request, other: Request) -> None:
    """vcrpy's matcher for scheme, host, port, path and query; escapes and the order of the query do not matter."""
    first, second = (_address(r.uri) for r in (one, other))
    if first != second:
        raise AssertionError(f"{one.uri} is asked for, {other.uri} is there")


def _address(uri: str) -> tuple[Any, ...]:
    parts = urlsplit(uri)
    return (parts.scheme, parts.netloc, unquote(parts.path), sorted(parse_qsl(parts.query, keep_blank_values=True)))


def body(one: Request, other: Request) -> None:
    """vcrpy's matcher for bodies: as values where they are JSON, byte for byte otherwise."""
    first, second = (_value(r.body or b"") for r in (one, other))
    if first != second:
        raise AssertionError(f"the body is {_short(first)}, in the cassette {_short(second)}")


def _value(given: bytes) -> Any:
    try:
        return json.loads(given, object_hook=_hide)
    except ValueError:
        return given.strip()


def _hide(fields: dict[str, Any]) -> dict[str, Any]:
    return {k: HIDDEN if v and CREDENTIAL.search(k) else v for k, v in fields.items()}


def _short(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False)
    return text[:600]


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What vcrpy says about an unknown request, in our words: it would advise to record with a test run."""
    try:
        yield
    except CannotOverwriteExistingCassetteException as exc:
        asked = exc.failed_request
        near = [words for _, _, failed in exc.similar_requests[:2] for _, words in failed]
        told = {
            "already_played": "it is in there, and was asked for more often than it is in there",
            "no_match": "nearest: " + "; ".join(near),
        }.get(exc.reason, "nothing in there is like it")
        fix = "Fix: what the connector asks, or the cassette (docs/cassettes.md)"
        raise CassetteError(f"{path} has no answer to {_words(asked)}: {told}. {fix}") from None


def _words(request: Request) -> str:
    return f"{request.method} {request.uri}"


def _vcr(files: "_Files", **hooks: Any) -> VCR:
    vcr = VCR(match_on=("method", "address", "same_body"), decode_compressed_response=True, **hooks)
    vcr.register_matcher("address", address)
    vcr.register_matcher("same_body", body)
    vcr.register_serializer("yaml", _Yaml)
    vcr.register_persister(files)
    return vcr


class _Files:
    """vcrpy's persister, which keeps the head of a file: its origin, and what a replay needs to know."""

    def __init__(self, head: str) -> None:
        self.head = head

    def load_cassette(self, path: str, serializer: Any) -> Any:
        text = Path(path).read_text(encoding="utf-8") if not self.head else "interactions: []"
        return deserialize(text, serializer)

    def save_cassette(self, path: str, found: Any, serializer: Any) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(f"{self.head.rstrip()}\n{serialize(found, serializer)}", encoding="utf-8")


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Bodies of several lines stand as they are, for people to read."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value and "\r" not in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


class _Yaml:
    """vcrpy's serializer with bodies people can read: the line ends of a multipart are those of its file."""

    @staticmethod
    def deserialize(text: str) -> Any:
        return _with_line_ends(yamlserializer.deserialize(text) or {"interactions": []}, "\r\n")

    @staticmethod
    def serialize(found: Any) -> str:
        plain = _with_line_ends(found, "\n")
        return str(yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110))


def _with_line_ends(found: Any, end: str) -> Any:
    for exchange in found["interactions"]:
        asked, answered = exchange["request"], exchange["response"]
        for whole, place, name in ((asked, asked, "body"), (answered, answered["body"], "string")):
            if "multipart/" in str(whole["headers"]) and isinstance(place[name], str):
                place[name] = place[name].replace("\r\n", "\n").replace("\n", end)
    return found


__all__ = ["CassetteError", "cassette", "origin_of", "recording", "replaying"]
