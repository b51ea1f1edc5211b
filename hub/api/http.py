"""The HTTP client, once for all connectors: retries, budgets, token refresh, host allow-list, size caps.

Connectors call `self.http.json(...)` or `self.http.request(...)`; statuses become `hub.api.errors`. A connector
whose vendor speaks differently (a 403 that means "slow down") passes `explain` in its `HttpProfile`.
The transport is replaceable, for another HTTP stack and for tests; cassettes see httpx's own transport.
"""

import asyncio
import email.utils
import logging
import math
import random
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from hub.api.auth import TokenSource, TokenStore
from hub.api.budget import Budgeter, Ledger, MemoryLedger
from hub.api.clock import Clock
from hub.api.errors import (
    AuthError,
    Conflict,
    ContractBroken,
    Gone,
    HubError,
    RateLimited,
    RecordRejected,
    ScopeError,
    Transient,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hub.api.manifest import Budget, Manifest

log = logging.getLogger("hub.http")

MAX_BODY_BYTES = 128 * 1024 * 1024
LONG_WAIT_S = 90.0
HOPS = 4


class MemoryTokens:
    """A token store for one process."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, Any]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def get(self, name: str) -> dict[str, Any] | None:
        return self._values.get(name)

    def put(self, name: str, value: dict[str, Any]) -> None:
        self._values[name] = value

    @asynccontextmanager
    async def lease(self, name: str) -> "AsyncIterator[None]":
        async with self._locks.setdefault(name, asyncio.Lock()):
            yield


@dataclass
class Services:
    """What the hub lends a connector: time, tokens, the budget ledger, a transport for tests, jitter."""

    account: str = "default"
    clock: Clock = field(default_factory=Clock)
    tokens: TokenStore = field(default_factory=MemoryTokens)
    ledger: Ledger = field(default_factory=MemoryLedger)
    transport: httpx.AsyncBaseTransport | None = None
    jitter: Callable[[], float] = random.random
    patience_s: float = LONG_WAIT_S


@dataclass(frozen=True)
class Response:
    """A vendor's answer. Header names are lower case; `body` is decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def request_id(self) -> str:
        for name in ("x-request-id", "x-hubspot-correlation-id", "x-zendesk-request-id", "cf-ray"):
            if value := self.headers.get(name):
                return value
        return ""

    def json(self) -> Any:
        """The decoded body. Raises ContractBroken for anything that is not JSON, an HTML page for one."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            kind = self.headers.get("content-type", "no content type")
            raise ContractBroken(
                f"expected JSON, got {kind} of {len(self.body)} bytes", status=self.status, request_id=self.request_id
            ) from exc


@dataclass(frozen=True)
class HttpProfile:
    """base_url: ends in "/". token: the sign-in, or None. connections: requests under way at once (0: no limit).

    explain(response) returns an error for statuses >= 400 that mean something special to this vendor, or None.
    observe(response, budgeter): reads quota headers. timeout_s bounds each read; deadline_s the whole call.
    """

    base_url: str
    token: TokenSource | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    explain: "Callable[[Response], HubError | None] | None" = None
    observe: "Callable[[Response, Budgeter], None] | None" = None
    timeout_s: float = 30.0
    deadline_s: float = 120.0
    attempts: int = 5
    connections: int = 0
    max_body_bytes: int = MAX_BODY_BYTES


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    """The root certificates, read once in a process: every client would take 50 ms over them."""
    return httpx.create_ssl_context()


class Http:
    """One account's calls. Opened lazily, closed by the hub."""

    def __init__(
        self, profile: HttpProfile, manifest: "Manifest", services: Services, budgets: "Sequence[Budget] | None" = None
    ) -> None:
        self.profile = profile
        self.services = services
        self.requests = 0
        self.budget = Budgeter(
            services.account, manifest.budgets if budgets is None else budgets, services.ledger, services.clock,
            services.patience_s,
        )  # fmt: skip
        self._manifest = manifest
        self._connector = manifest.name
        self._client: httpx.AsyncClient | None = None
        self._own_host = httpx.URL(profile.base_url).raw_host.decode() if profile.base_url else ""
        self._gate = asyncio.Semaphore(profile.connections) if profile.connections else nullcontext()

    @property
    def client(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                transport=self.services.transport,
                verify=_trusted(),
                timeout=self.profile.timeout_s,
                follow_redirects=False,
                trust_env=self.services.transport is None,
                headers={"accept-encoding": "gzip, deflate", **self.profile.headers},
            )
        return self._client

    async def aclose(self) -> None:
        self.budget.close()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def json(self, method: str, path: str, **kwargs: Any) -> Any:
        """As `request`, with the body decoded from JSON. Raises ContractBroken when it is not JSON."""
        return (await self.request(method, path, **kwargs)).json()

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        cost: str = "",
        calls: int = 1,
        safe: bool | None = None,
    ) -> Response:
        """Send one request, with retries that its nature allows; statuses >= 400 raise.

        path: relative to the base URL, or an absolute URL on an allowed host. cost: method name in the budget
        table, `calls` of them. safe: may be sent again when the outcome is unknown (default: GET, HEAD, PUT,
        DELETE, and POST only when said). Redirects are followed for those, to allowed hosts.
        Raises: the errors of `hub.api.errors`; Transient with "outcome unknown" for an unsafe call cut off.
        """
        url = self._url(path)
        again = method in {"GET", "HEAD", "PUT", "DELETE"} if safe is None else safe
        body = msgspec.json.encode(json) if json is not None else content
        send_headers = dict(headers or {})
        if json is not None:
            send_headers.setdefault("content-type", "application/json")

        def worth_retrying(exc: BaseException) -> bool:
            if isinstance(exc, RateLimited):
                return (exc.retry_after_s or 0) <= self.services.patience_s
            return isinstance(exc, Transient) and (again or not exc.is_unknown)

        retrying = AsyncRetrying(
            stop=stop_after_attempt(self.profile.attempts),
            wait=self._wait,
            retry=retry_if_exception(worth_retrying),
            sleep=self.services.clock.sleep,
            reraise=True,
        )
        sending = _Sending(method, url, params, body, send_headers)
        return await retrying(self._once, sending, HOPS if again else 0, cost, calls)

    def _wait(self, state: RetryCallState) -> float:
        exc = state.outcome.exception() if state.outcome else None
        if isinstance(exc, RateLimited) and exc.retry_after_s is not None:
            return min(max(exc.retry_after_s, 0.05), self.services.patience_s)
        return float(min(30.0, 0.5 * 2.0 ** (state.attempt_number - 1)) * (0.5 + self.services.jitter()))

    async def _once(self, sending: "_Sending", hops: int, cost: str, calls: int) -> Response:
        """One try: the request and, at most `hops` times, where its answer sends it."""
        await self.budget.spend(cost, calls)
        response = await self._signed(sending)
        if self.profile.observe:
            self.profile.observe(response, self.budget)
        if response.status >= 400:
            error = self.explain(response)
            error.connector = self._connector
            error.status = response.status
            error.request_id = response.request_id
            if isinstance(error, RateLimited):
                seconds = error.retry_after_s if error.retry_after_s is not None else 1.0
                error.until = self.budget.block(seconds, method=None if error.is_account_wide else cost)
            raise error
        if not 300 <= response.status < 400 or response.status == 304:
            return response
        location = response.headers.get("location", "")  # one that is no address, httpx has refused already
        if not location:
            lost = _transient(self._connector, "answered with a redirect that leads nowhere", True)
            lost.status = response.status
            raise lost
        if not hops:
            raise ContractBroken("answered with a redirect that is not followed", status=response.status)
        return await self._once(self._moved(sending, response, location), hops - 1, cost, calls)

    def _moved(self, sending: "_Sending", response: Response, location: str) -> "_Sending":
        """The request at its new address. Raises ContractBroken for a host that is not allowed."""
        url = sending.url.join(location)
        self._must_be_allowed(url)
        if response.status != 303:
            return _Sending(sending.method, url, None, sending.body, sending.headers)
        headers = {name: value for name, value in sending.headers.items() if name.lower() != "content-type"}
        return _Sending("HEAD" if sending.method == "HEAD" else "GET", url, None, None, headers)

    async def _signed(self, sending: "_Sending") -> Response:
        """With a token and, where the vendor no longer takes it, with a fresh one."""
        source = self.profile.token
        token = await source.token(self.services, self.client) if source else None
        response = await self._send(sending, token)
        if response.status == 401 and source and token and await source.refused(token, self.services, self.client):
            response = await self._send(sending, await source.token(self.services, self.client))
        return response

    async def _send(self, sending: "_Sending", token: str | None) -> Response:
        headers = {**sending.headers, "authorization": f"Bearer {token}"} if token else sending.headers
        async with self._gate:
            return await self._exchange(sending, headers)

    async def _exchange(self, sending: "_Sending", headers: dict[str, str]) -> Response:
        method, url, params, body = sending.method, sending.url, sending.params, sending.body
        started = self.services.clock.monotonic()
        self.requests += 1
        try:
            async with asyncio.timeout(self.profile.deadline_s):
                async with self.client.stream(method, url, params=params, content=body, headers=headers) as raw:
                    parts, size = [], 0
                    async for part in raw.aiter_bytes():
                        size += len(part)
                        if size > self.profile.max_body_bytes:
                            raise ContractBroken(f"answer larger than {self.profile.max_body_bytes} bytes")
                        parts.append(part)
                    response = Response(raw.status_code, raw.headers, b"".join(parts))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
            raise _transient(self._connector, f"no connection ({type(exc).__name__})", False) from exc
        except (httpx.HTTPError, TimeoutError) as exc:
            raise _transient(self._connector, f"cut off, outcome unknown ({type(exc).__name__})", True) from exc
        took_ms = (self.services.clock.monotonic() - started) * 1000
        log.debug("%s %s -> %d, %d bytes, %.0f ms", method, url.path, response.status, size, took_ms)
        return response

    def explain(self, response: Response) -> HubError:
        """The error for a status >= 400: the connector's own word first, then the common meaning."""
        if self.profile.explain and (own := self.profile.explain(response)):
            return own
        status = response.status
        if status == 401:
            return AuthError("the sign-in is no longer accepted: connect the account again")
        if status == 403:
            return ScopeError("the vendor refuses access: a permission is missing")
        if status in {404, 410}:
            return Gone("not found at the vendor")
        if status == 409:
            return Conflict("the vendor reports a conflict")
        if status == 429:
            return RateLimited("too many requests", retry_after_s=retry_after(response, self.services.clock))
        if status in {408, 423, 425} or status >= 500:
            return _transient(self._connector, "the vendor has a problem", status >= 500)
        return RecordRejected("the vendor refused the request")

    def _url(self, path: str) -> httpx.URL:
        try:
            url = _joined(self.profile.base_url, path)
        except httpx.InvalidURL as exc:
            raise ContractBroken(f"not an address: {exc}") from exc
        self._must_be_allowed(url)
        return url

    def _must_be_allowed(self, url: httpx.URL) -> None:
        """Raises ContractBroken for an address that no token may go to."""
        host = url.raw_host.decode()
        if host != self._own_host and not self._manifest.allows(host):
            known = sorted({*self._manifest.hosts, self._own_host} - {""})
            raise ContractBroken(f"refusing to call host {host!r}: not one of {known}")
        if url.userinfo:  # a name in the address would take the token's place
            raise ContractBroken(f"refusing to call {host!r} under a name that the address carries")
        if url.scheme != "https" and host not in {"127.0.0.1", "localhost", "::1"}:
            raise ContractBroken(f"refusing to call {host!r} without TLS")


@lru_cache(maxsize=512)
def _joined(base_url: str, path: str) -> httpx.URL:
    """The full address; most calls go to few of them, and taking one apart costs a tenth of a call."""
    return httpx.URL(base_url).join(path)


@dataclass(frozen=True, slots=True)
class _Sending:
    """One request as it goes out, but for the token."""

    method: str
    url: httpx.URL
    params: Mapping[str, Any] | None
    body: bytes | None
    headers: dict[str, str]


def _transient(connector: str, message: str, is_unknown: bool) -> Transient:
    return Transient(message, connector=connector, is_unknown=is_unknown)


def retry_after(response: Response, clock: Clock) -> float | None:
    """Seconds from a Retry-After header: number or HTTP date; None when absent or nonsense, at most a day."""
    value = response.headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (email.utils.parsedate_to_datetime(value) - clock.now()).total_seconds()
        except (ValueError, TypeError):
            return None
    if not math.isfinite(seconds):
        return None
    return min(max(seconds, 0.0), 86400.0)
