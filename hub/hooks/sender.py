"""One call: to the address that was looked at, nowhere else, with an end to how long it takes and how much comes back."""

import asyncio
import math
import re
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache

import httpx

from hub import __version__
from hub.api import Clock
from hub.hooks.guard import Refused, Resolver, Target, resolve

KEPT = 1000  # characters of an answer
READ_BYTES = 64 * 1024
LONGEST_WAIT_S = 86400.0
_HIDE = (
    (
        re.compile(r"(?i)\b(bearer|basic|token|apikey|api[_-]key|secret|password)([\"'\s:=]+)[^\s\"',;<>]{4,}"),
        r"\1\2***",
    ),
    (re.compile(r"whsec_[A-Za-z0-9+/=_-]+"), "whsec_***"),
    (re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"), "***@***"),
    (re.compile(r"[A-Za-z0-9+/_=-]{32,}"), "***"),
)


@dataclass(frozen=True)
class Answer:
    """status: None where none came; error then says why. ms: how long it took. text: the beginning, redacted.

    retry_after_s: when the receiver wants to be called again, at most a day.
    """

    status: int | None
    ms: int = 0
    error: str = ""
    text: str = ""
    retry_after_s: float | None = None

    @property
    def is_ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Sender:
    """Keeps a client for each host it calls, for a connection made for one host must never carry another's calls.

    timeout_s: for the whole call. resolver: for tests, instead of the system's. tls: whom to trust; else the public roots.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        allow_loopback: bool = False,
        timeout_s: float = 15.0,
        resolver: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._clock = clock
        self.allow_loopback = allow_loopback
        self._timeout_s = timeout_s
        self._resolver = resolver
        self._tls = tls
        self._clients: dict[str, httpx.AsyncClient] = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], hide: Collection[str] = ()) -> Answer:
        """Never raises for what may go wrong on the way. hide: secrets that must not be kept if they come back."""
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._timeout_s):
                target = await resolve(url, self.allow_loopback, self._resolver)
                answer = await self._post(target, body, headers)
        except Refused as exc:
            answer = Answer(None, error=f"refused: {exc}")
        except TimeoutError:
            answer = Answer(None, error=f"no answer in {self._timeout_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as exc:  # the last: a name no resolver takes
            answer = Answer(None, error=_cause(exc))
        ms = round((self._clock.monotonic() - began) * 1000)
        if 300 <= (answer.status or 0) < 400:
            answer = Answer(answer.status, error="a redirect, which is not followed")
        return Answer(answer.status, ms, answer.error[:256], redacted(answer.text, hide), answer.retry_after_s)

    async def _post(self, target: Target, body: bytes, headers: Mapping[str, str]) -> Answer:
        """To the first address that takes a connection: those behind it are another way to the same host."""
        url, last = httpx.URL(target.url), len(target.addresses) - 1
        host = url.netloc.decode()
        sent = {
            "content-type": "application/cloudevents+json", "user-agent": f"interaction-hub/{__version__}",
            "accept-encoding": "identity", **headers, "host": host,
        }  # fmt: skip
        for n, address in enumerate(target.addresses):
            try:
                return await self._once(host, url.copy_with(host=address), target.host, body, sent)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if n == last:
                    raise
        raise OSError("no address")

    async def _once(self, key: str, url: httpx.URL, name: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        more = {"sni_hostname": name}  # whose certificate it has to be
        async with self._client(key).stream("POST", url, content=body, headers=headers, extensions=more) as raw:
            parts, size = [], 0
            async for part in raw.aiter_raw():  # as it comes: nothing is unpacked
                parts.append(part)
                size += len(part)
                if size >= READ_BYTES:
                    break
            text = b"".join(parts)[: 4 * KEPT].decode("utf-8", "replace")
            return Answer(raw.status_code, text=text, retry_after_s=self._retry_after(raw.headers))

    def _client(self, host: str) -> httpx.AsyncClient:
        if host not in self._clients:
            self._clients[host] = httpx.AsyncClient(
                verify=self._tls or _trusted(), timeout=self._timeout_s, follow_redirects=False, trust_env=False,
                limits=httpx.Limits(max_keepalive_connections=4, keepalive_expiry=30),
            )  # fmt: skip
        return self._clients[host]

    def _retry_after(self, headers: httpx.Headers) -> float | None:
        """Seconds, a number or a date in the header; None where there is none, or nonsense."""
        value = headers.get("retry-after", "").strip()
        try:
            seconds = float(value)
        except ValueError:
            try:
                seconds = (parsedate_to_datetime(value) - self._clock.now()).total_seconds()
            except (ValueError, TypeError, OverflowError):
                return None
        return min(seconds, LONGEST_WAIT_S) if math.isfinite(seconds) and seconds >= 0 else None

    async def aclose(self) -> None:
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()


def redacted(text: str, hide: Collection[str] = ()) -> str:
    """The beginning of an answer, fit to be kept: no control characters, nothing that looks like a secret or an address."""
    for secret in hide:
        text = text.replace(secret, "***")
    for pattern, instead in _HIDE:
        text = pattern.sub(instead, text)
    return "".join(c if c.isprintable() else " " for c in text)[:KEPT].strip()


def _cause(exc: Exception) -> str:
    reason = " ".join(str(exc).split())
    return (
        f"no connection: {reason}"
        if isinstance(exc, OSError | httpx.ConnectError)
        else f"cut off: {reason or type(exc).__name__}"
    )


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    return httpx.create_ssl_context()
