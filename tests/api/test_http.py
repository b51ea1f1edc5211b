"""The HTTP client all connectors share, against a real server on loopback: retries, sign-in, limits, allow-list."""

import asyncio
import base64
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.responses import Response as Answer
from starlette.routing import BaseRoute, Route

from hub.api import (
    AuthError,
    Budget,
    Conflict,
    ContractBroken,
    FakeClock,
    Gone,
    Http,
    HttpProfile,
    HubError,
    Manifest,
    MemoryTokens,
    OAuthRefresh,
    RateLimited,
    RecordRejected,
    Response,
    ScopeError,
    ServiceAccount,
    Services,
    StaticToken,
    TokenSource,
    Transient,
    retry_after,
)
from hub.testing import Emulator, Running

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
MANIFEST = Manifest("small", "Small", (), ())
pytestmark = pytest.mark.anyio


class Small(Emulator):
    """A vendor with one collection, and an OAuth server whose tokens are good for one hour or until `expire`."""

    name = "small"

    def __init__(self) -> None:
        super().__init__()
        self.things: list[Any] = []
        self.tokens = 0
        self.good = ""
        self.forms: list[dict[str, str]] = []
        self.token_answer: dict[str, Any] = {}
        self.token_status = 200

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/things", self.add, methods=["POST"]), Route("/things", self.list, methods=["GET"]),
            Route("/private", self.private), Route("/token", self.token, methods=["POST"]),
            Route("/echo", self.echo, methods=["POST"]),
            Route("/big", lambda r: Answer(b"x" * 100_000)), Route("/page", lambda r: Answer("<html>", media_type="text/html")),
            Route("/fail/{status:int}", lambda r: JSONResponse({}, r.path_params["status"], {"x-request-id": "req-7"})),
        ]  # fmt: skip

    async def add(self, request: Request) -> Answer:
        self.things.append(await request.json())
        return JSONResponse({"n": len(self.things)})

    async def list(self, request: Request) -> Answer:
        return JSONResponse({"things": self.things, "q": request.query_params.get("q")})

    async def echo(self, request: Request) -> Answer:
        return JSONResponse({"type": request.headers.get("content-type"), "body": (await request.body()).decode()})

    async def private(self, request: Request) -> Answer:
        ok = request.headers.get("authorization") == f"Bearer {self.good}"
        return JSONResponse({"ok": ok}, 200 if ok else 401)

    async def token(self, request: Request) -> Answer:
        self.forms.append(dict(parse_qsl((await request.body()).decode())))
        if self.token_status != 200:
            return JSONResponse(self.token_answer, self.token_status)
        self.tokens += 1
        self.good = f"access-{self.tokens}"
        return JSONResponse({"access_token": self.good, "expires_in": 3600, **self.token_answer})


@pytest.fixture(scope="module")
def served() -> Iterator[Running]:
    with Small().serve() as running:
        yield running


@pytest.fixture
def vendor(served: Running) -> Small:
    small = Small()
    served.put(small)
    return small


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def url(vendor: Small, served: Running) -> str:
    return served.url


def services(clock: FakeClock, **more: Any) -> Services:
    return Services(clock=clock, jitter=lambda: 0.5, **more)


def client(
    url: str, clock: FakeClock, manifest: Manifest = MANIFEST, lent: Services | None = None, **profile: Any
) -> Http:
    return Http(HttpProfile(base_url=f"{url}/", **profile), manifest, lent or services(clock))


# --- requests and what statuses mean ------------------------------------------------------------------------------


async def test_a_request_and_its_answer(url: str, clock: FakeClock, vendor: Small) -> None:
    http = client(url, clock)
    assert await http.json("POST", "things", json={"a": 1}) == {"n": 1}
    assert await http.json("GET", "things", params={"q": "x y"}) == {"things": [{"a": 1}], "q": "x y"}
    assert await http.json("POST", "echo", json=[1]) == {"type": "application/json", "body": "[1]"}
    assert await http.json("POST", "echo", content=b"raw", headers={"content-type": "text/x"}) == {
        "type": "text/x",
        "body": "raw",
    }
    assert http.requests == 4
    await http.aclose()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, RecordRejected),
        (401, AuthError),
        (403, ScopeError),
        (404, Gone),
        (409, Conflict),
        (410, Gone),
        (422, RecordRejected),
    ],
)
async def test_what_a_refusal_means(url: str, clock: FakeClock, status: int, error: type[HubError]) -> None:
    http = client(url, clock)
    with pytest.raises(error) as caught:
        await http.request("GET", f"fail/{status}")
    assert (caught.value.connector, caught.value.status, caught.value.request_id) == ("small", status, "req-7")
    assert http.requests == 1
    await http.aclose()


async def test_a_connector_may_know_better(url: str, clock: FakeClock) -> None:
    def explain(response: Response) -> HubError | None:
        return RateLimited("quota", retry_after_s=500) if response.status == 403 else None

    http = client(url, clock, explain=explain)
    with pytest.raises(RateLimited, match="quota"):
        await http.request("GET", "fail/403")
    with pytest.raises(Gone):
        await http.request("GET", "fail/404")
    await http.aclose()


async def test_a_bad_moment_is_waited_out(url: str, clock: FakeClock, vendor: Small) -> None:
    vendor.faults.add("status", status=503, times=3)
    http = client(url, clock)
    assert await http.json("GET", "things") == {"things": [], "q": None}
    assert http.requests == 4
    assert clock.slept == sorted(clock.slept)
    assert 1 < sum(clock.slept) < 30
    await http.aclose()


async def test_a_long_bad_moment_is_given_up(url: str, clock: FakeClock, vendor: Small) -> None:
    vendor.faults.add("status", status=503)
    http = client(url, clock)
    with pytest.raises(Transient) as caught:
        await http.request("GET", "things")
    assert (caught.value.status, http.requests) == (503, 5)
    await http.aclose()


@pytest.mark.parametrize("fault", ["reset", "drop_answer", "truncate"])
async def test_a_cut_connection_is_tried_again_only_where_that_is_harmless(
    url: str, clock: FakeClock, vendor: Small, fault: str
) -> None:
    vendor.faults.add(fault, path="/things", times=1)
    http = client(url, clock)
    assert (await http.json("GET", "things"))["things"] == []
    vendor.faults.add(fault, path="/things", times=1)
    with pytest.raises(Transient) as caught:
        await http.json("POST", "things", json={"a": 1})
    assert caught.value.is_unknown
    assert len(vendor.things) == (0 if fault == "reset" else 1)
    vendor.faults.add(fault, path="/things", times=1)
    await http.json("POST", "things", json={"a": 2}, safe=True)  # the connector says that sending twice does no harm
    assert vendor.things[-1] == {"a": 2}
    await http.aclose()


async def test_no_connection_is_known_not_to_have_arrived(clock: FakeClock) -> None:
    http = client("http://127.0.0.1:9", clock)
    with pytest.raises(Transient) as caught:
        await http.request("POST", "things", json={})
    assert not caught.value.is_unknown
    assert http.requests == 5
    await http.aclose()


async def test_slow_down_is_obeyed_and_shared(url: str, clock: FakeClock, vendor: Small) -> None:
    vendor.faults.add("status", status=429, headers={"Retry-After": "17"}, times=1)
    manifest = Manifest("small", "Small", (), (), budgets=(Budget("minute", 1000, timedelta(minutes=1)),))
    lent = services(clock)
    http, other = (client(url, clock, manifest, lent) for _ in range(2))
    await http.json("GET", "things")
    assert sum(clock.slept) >= 17
    vendor.faults.add("status", status=429, headers={"Retry-After": "4000"}, times=1)
    with pytest.raises(RateLimited) as caught:
        await http.json("GET", "things")
    assert caught.value.until == clock.now() + timedelta(seconds=4000)
    with pytest.raises(RateLimited):
        await other.json("GET", "things")
    assert other.requests == 0
    await http.aclose()
    await other.aclose()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0), ("0", 0.0), ("-5", 0.0), ("1.5", 1.5), ("99999999", 86400.0), ("nan", None), ("inf", None), ("", None),
        ("soon", None), ("Mon, 02 Nov 2026 09:00:30 GMT", 30.0), ("Mon, 02 Nov 2020 09:00:30 GMT", 0.0),
    ],
)  # fmt: skip
async def test_how_long_to_wait(header: str, seconds: float | None) -> None:
    assert retry_after(Response(429, {"retry-after": header}, b""), FakeClock(NOW)) == seconds


async def test_an_answer_that_is_no_json_is_a_broken_contract(url: str, clock: FakeClock, vendor: Small) -> None:
    http = client(url, clock)
    with pytest.raises(ContractBroken, match="text/html"):
        await http.json("GET", "page")
    assert http.requests == 1
    await http.aclose()


async def test_big_answers_are_not_read_on(url: str, clock: FakeClock) -> None:
    http = client(url, clock, max_body_bytes=1000)
    with pytest.raises(ContractBroken, match="larger than 1000"):
        await http.request("GET", "big")
    await http.aclose()


@pytest.mark.parametrize(
    "path",
    ["https://evil.example/x", "//evil.example/x", "http://127.0.0.1.evil.example/", "https://user@evil.example/"],
)
async def test_nothing_goes_to_another_host(url: str, clock: FakeClock, path: str) -> None:
    http = client(url, clock, token=StaticToken("canary"))
    with pytest.raises(ContractBroken, match="refusing to call host"):
        await http.request("GET", path)
    assert http.requests == 0


async def test_nothing_leaves_without_tls(clock: FakeClock) -> None:
    http = client("http://vendor.example", clock)
    with pytest.raises(ContractBroken, match="without TLS"):
        await http.request("GET", "things")


async def test_a_total_deadline_ends_an_endless_answer(url: str, clock: FakeClock, vendor: Small) -> None:
    vendor.faults.add("slow", seconds=5, times=1)
    http = client(url, clock, deadline_s=0.05, attempts=1)
    with pytest.raises(Transient, match="outcome unknown"):
        await http.request("GET", "things")
    await http.aclose()


async def test_quota_headers_can_be_read(url: str, clock: FakeClock) -> None:
    seen: list[int] = []
    http = client(url, clock, observe=lambda response, budget: seen.append(response.status))
    await http.request("GET", "things")
    with pytest.raises(Gone):
        await http.request("GET", "fail/404")
    assert seen == [200, 404]
    await http.aclose()


# --- signing in ---------------------------------------------------------------------------------------------------


def oauth(url: str) -> OAuthRefresh:
    return OAuthRefresh("oauth", f"{url}/token", "client", "secret", "refresh-0")


async def test_a_token_is_fetched_kept_and_renewed_in_time(url: str, clock: FakeClock, vendor: Small) -> None:
    lent = services(clock)
    http = client(url, clock, lent=lent, token=oauth(url))
    for _ in range(3):
        assert (await http.json("GET", "private"))["ok"]
    assert vendor.tokens == 1
    assert vendor.forms[0] == {
        "grant_type": "refresh_token",
        "refresh_token": "refresh-0",
        "client_id": "client",
        "client_secret": "secret",
    }
    clock.advance(3550)
    await http.json("GET", "private")
    assert vendor.tokens == 2
    stored = lent.tokens.get("oauth") or {}
    assert stored["access_token"] == "access-2"
    await http.aclose()


async def test_many_calls_that_meet_an_expired_token_cause_one_refresh(
    url: str, clock: FakeClock, vendor: Small
) -> None:
    http = client(url, clock, token=oauth(url))
    await http.json("GET", "private")
    vendor.good = "somebody signed us out"
    await asyncio.gather(*(http.json("GET", "private") for _ in range(50)))
    assert vendor.tokens == 2
    await http.aclose()


async def test_a_rotated_refresh_token_is_used_and_a_missing_one_keeps_the_old(
    url: str, clock: FakeClock, vendor: Small
) -> None:
    http = client(url, clock, token=oauth(url))
    for answer, sent in (({"refresh_token": "refresh-1"}, "refresh-0"), ({}, "refresh-1"), ({}, "refresh-1")):
        vendor.token_answer = answer
        await http.json("GET", "private")
        assert vendor.forms[-1]["refresh_token"] == sent
        clock.advance(4000)
    await http.aclose()


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (400, {"error": "invalid_grant"}, AuthError), (401, {"error": "invalid_client"}, AuthError), (200, {"access_token": None}, ContractBroken),
        (503, {}, Transient), (429, {}, Transient),
    ],
)  # fmt: skip
async def test_a_refused_refresh_says_who_must_act(
    url: str, clock: FakeClock, vendor: Small, status: int, answer: dict[str, Any], error: type[HubError]
) -> None:
    vendor.token_status, vendor.token_answer = (status, answer) if status != 200 else (207, {"no": "token"})
    http = client(url, clock, token=oauth(url), attempts=1)
    with pytest.raises(error) as caught:
        await http.json("GET", "private")
    assert "refresh-0" not in str(caught.value)
    assert "secret" not in str(caught.value)
    await http.aclose()


async def test_a_token_that_stays_refused_is_not_tried_for_ever(url: str, clock: FakeClock, vendor: Small) -> None:
    http = client(url, clock, token=StaticToken("wrong"))
    with pytest.raises(AuthError):
        await http.json("GET", "private")
    assert http.requests == 1
    await http.aclose()


async def test_without_any_refresh_token_a_person_is_asked(url: str, clock: FakeClock, vendor: Small) -> None:
    http = client(url, clock, token=OAuthRefresh("oauth", f"{url}/token", "client", "", ""))
    with pytest.raises(AuthError, match="connect the account"):
        await http.json("GET", "private")
    assert vendor.forms == []
    await http.aclose()


async def test_a_service_account_signs_for_the_mailbox_it_acts_for(url: str, clock: FakeClock, vendor: Small) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    source: TokenSource = ServiceAccount(
        "sa",
        f"{url}/token",
        {"client_email": "hub@project.example", "private_key": pem.decode()},
        "sam@ourco.example",
        "mail.read",
    )
    http = client(url, clock, token=source)
    assert (await http.json("GET", "private"))["ok"]
    assertion = vendor.forms[0]["assertion"]
    head, claims, _ = (base64.urlsafe_b64decode(part + "==") for part in assertion.split("."))
    assert json.loads(head)["alg"] == "RS256"
    told = json.loads(claims)
    assert (told["iss"], told["sub"], told["scope"]) == ("hub@project.example", "sam@ourco.example", "mail.read")
    assert told["exp"] - told["iat"] == 3600
    assert told["iat"] == int(NOW.timestamp())
    await http.aclose()


async def test_tokens_are_leased_one_at_a_time() -> None:
    tokens, inside = MemoryTokens(), 0

    async def use() -> None:
        nonlocal inside
        async with tokens.lease("x"):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(use() for _ in range(5)))
