"""Records a real account, by reading only, and proves the recording by playing it back through the connector.

A tour is what is recorded: `check`, then of each stream the first page and two of its records fetched anew. Calls that
could write are refused before they leave, as if a permission were missing. Time stands still but for waiting, so that
the replay asks for the same moments.
"""

import asyncio
import json
import re
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from hub.api import (
    Connector,
    ConnectorSettings,
    FakeClock,
    HubError,
    Pull,
    RecordRejected,
    ScopeError,
    Services,
    Window,
)
from hub.testing.cassettes import recording, replaying
from hub.testing.scrub import Scrubber

CHECK = "check"
PAGE_SIZE = 10
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_READS = re.compile(r"/(search|batch/read)$")  # POSTs that ask
_PARTS = re.compile(rb"^([A-Z]+) \S+ HTTP/1", re.MULTILINE)

Outline = list[tuple[str, ...]]


@dataclass(frozen=True)
class Kept:
    """One step of the tour: the cassette it is in (None when the vendor was not asked), and what came."""

    step: str
    path: Path | None
    outline: Outline
    requests: int


class RecordingClock(FakeClock):
    """Waits for real, and moves by that alone."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.advance(seconds)


class ReadOnly(httpx.AsyncHTTPTransport):
    """httpx's own transport, which lets through what reads and the sign-in. Raises ScopeError for anything else."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        if not _is_reading(request.method, request.url.path, request.headers.get("content-type", ""), body):
            raise ScopeError("not asked while recording, because it could write")
        return await super().handle_async_request(request)


def _is_reading(method: str, path: str, kind: str, body: bytes) -> bool:
    if method in {"GET", "HEAD"}:
        return True
    if method != "POST":
        return False
    if kind.startswith("multipart/mixed"):  # a batch: whole requests inside of one
        inner = _PARTS.findall(body)
        return bool(inner) and set(inner) == {b"GET"}
    is_sign_in = "x-www-form-urlencoded" in kind and b"grant_type=" in body
    return is_sign_in or _READS.search(path) is not None


async def record(
    connector: type[Connector[Any]], settings: ConnectorSettings, folder: Path, *, at: datetime,
    services: Services | None = None,
) -> list[Kept]:  # fmt: skip
    """Record the tour into `folder`/recorded-<step>.yaml and play each cassette back.

    services: the tokens to sign in with (the hub's own, where refresh tokens rotate). Raises HubError when the sign-in
    is refused, CassetteError when a cassette does not give again what was recorded, ValueError when one holds a secret.
    """
    if "page_size" in type(settings).model_fields:
        settings = settings.model_copy(update={"page_size": PAGE_SIZE})  # a page is recorded for its form
    scrub = Scrubber(_secrets(settings))
    stand_in = _replaced(settings, scrub)
    clock = RecordingClock(at)
    given = services or Services()
    used = Services(given.account, clock, given.tokens, transport=ReadOnly(), jitter=lambda: 0.5)
    real = connector(settings, used)
    kept = []
    try:
        for step in (CHECK, *(s.name for s in connector.manifest.streams)):
            kept.append(await _record_step(real, step, folder, scrub, stand_in))
    finally:
        await real.aclose()
    return kept


async def _record_step(
    real: Connector[Any], step: str, folder: Path, scrub: Scrubber, stand_in: ConnectorSettings
) -> Kept:
    path, began = folder / f"recorded-{step}.yaml", real.services.clock.now()
    path.unlink(missing_ok=True)
    try:
        with recording(path, _head(real, stand_in, began), scrub) as tape:
            outline = await tour(real, step)
        if not path.is_file():
            return Kept(step, None, outline, 0)
        if leaks := scrub.leaks(path.read_text(encoding="utf-8")):
            raise ValueError(f"the recording of {step} was thrown away: {leaks} secrets or people were still in it")
        async with replaying(type(real), stand_in, path, at=began, transport=ReadOnly(verify=False)) as played:
            again = await tour(played, step)
        if again != outline:
            pair = next((a, b) for a, b in zip_longest(again, outline, fillvalue=()) if a != b)
            raise ValueError(f"the recording of {step} was thrown away: played back, it gives {pair[0]}, not {pair[1]}")
    except BaseException:
        path.unlink(missing_ok=True)  # what was not looked through is not left lying about
        raise
    return Kept(step, path, outline, len(tape.requests))


async def tour(connector: Connector[Any], step: str) -> Outline:
    """What `check`, or the reading of one stream, gave: without anything that names a person or a record."""
    if step == CHECK:
        matrix = await connector.check()
        return [(p.stream, p.action, str(p.is_granted)) for p in matrix.permissions]
    found: Outline = []
    try:
        async with aclosing(connector.pull(Pull(step, None, Window()))) as pages:  # type: ignore[type-var]
            page = await anext(pages)
        sizes = (page.records, page.also_seen, page.gone, page.gaps)
        found.append(("page", *(str(len(each)) for each in sizes), str(page.is_last)))
        found += [_mapped(connector, step, record) for record in page.records]
        for record in await connector.fetch(step, [r.external_id for r in page.records[:2]]) if page.records else ():
            found.append(("fetched", *_mapped(connector, step, record)))
    except (HubError, NotImplementedError, StopAsyncIteration) as exc:
        found.append((type(exc).__name__,))
    return found


def _mapped(connector: Connector[Any], stream: str, record: Any) -> tuple[str, ...]:
    try:
        return tuple(type(entity).__name__ for entity in connector.to_canonical(stream, record))
    except RecordRejected:
        return ("RecordRejected",)


def _head(real: Connector[Any], stand_in: ConnectorSettings, at: datetime) -> str:
    """The first lines of a recording: where it comes from, and what a replay needs."""
    manifest = real.manifest
    what = ", ".join(filter(None, (manifest.title, manifest.vendor_api)))
    is_stand_in = httpx.URL(real.http.profile.base_url).host in LOOPBACK
    by = f"a stand-in on this machine for {what}, not from the vendor" if is_stand_in else what
    shown = stand_in.model_dump(mode="json", exclude_defaults=True, exclude=_secret_fields(stand_in))
    return f"# origin: recorded {at:%Y-%m-%d} from {by}\n# replay: at {at.isoformat()} with {json.dumps(shown)}"


def _secret_fields(settings: ConnectorSettings) -> set[str]:
    return {name for name, value in settings if isinstance(value, SecretStr)}


def _secrets(settings: ConnectorSettings) -> list[str]:
    """Secret values, and the texts in those that are JSON, such as a service account's key."""
    found = [value.get_secret_value() for _, value in settings if isinstance(value, SecretStr)]
    for text in list(found):
        if text.startswith("{"):
            found += [str(v) for k, v in json.loads(text).items() if "key" in k or "email" in k or "id" in k]
    return found


def _replaced(settings: ConnectorSettings, scrub: Scrubber) -> ConnectorSettings:
    """The settings with stand-ins for what names the account; secrets stay, in memory, for they are checked there."""

    def clean(name: str, value: Any) -> Any:
        if isinstance(value, str):
            return scrub.account(value) if name in _NAMING and value else scrub.plain(value) if "@" in value else value
        return tuple(clean(name, each) for each in value) if isinstance(value, tuple) else value

    return settings.model_copy(update={name: clean(name, value) for name, value in settings})


_NAMING = {"subdomain", "portal_id", "account_id", "tenant_id", "customer_id"}

__all__ = ["CHECK", "Kept", "ReadOnly", "RecordingClock", "record", "tour"]
