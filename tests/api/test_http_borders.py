"""Where calls may go and how many at once: redirects, account hosts, refusals that concern one budget, connections."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from hub.api import (
    Budget,
    ContractBroken,
    FakeClock,
    Http,
    HttpProfile,
    Ledger,
    Manifest,
    MemoryLedger,
    RateLimited,
    Services,
    StaticToken,
    Transient,
)
from hub.store import Store
from hub.store.vendor_state import StoreLedger

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
HOME = "https://api.tool.example/"
MINUTE = timedelta(minutes=1)
pytestmark = pytest.mark.anyio


class Wire(httpx.AsyncBaseTransport):
    """A vendor in memory: what each address answers, as (status, headers); everything asked, in order."""

    def __init__(self, answers: Mapping[str, tuple[int, Mapping[str, str]]] | None = None) -> None:
        self.answers = dict(answers or {})
        self.asked: list[httpx.Request] = []
        self.most = self.now = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        status, headers = self.answers.get(str(request.url), (200, {}))
        return httpx.Response(status, headers=dict(headers), content=await request.aread())


def http(
    wire: Wire, *hosts: str, ledger: Ledger | None = None, budgets: tuple[Budget, ...] = (), **profile: Any
) -> Http:
    lent = Services(clock=FakeClock(NOW), transport=wire, jitter=lambda: 0.5, ledger=ledger or MemoryLedger())
    given = {"base_url": HOME, "token": StaticToken("canary"), **profile}
    return Http(HttpProfile(**given), Manifest("tool", "Tool", (), (), hosts=hosts, budgets=budgets), lent)


# --- redirects ----------------------------------------------------------------------------------------------------


async def test_a_redirect_to_an_allowed_host_is_followed_with_everything_that_was_sent() -> None:
    wire = Wire({
        HOME + "a?x=1": (301, {"location": "/b"}),
        HOME + "b": (308, {"location": "https://eu.tool.example/c?y=2"}),
    })  # fmt: skip
    answer = await http(wire, "*.tool.example").request(
        "PUT", "a", params={"x": 1}, content=b"body", headers={"depth": "1"}
    )
    assert (answer.status, answer.body) == (200, b"body")
    assert [str(r.url) for r in wire.asked] == [HOME + "a?x=1", HOME + "b", "https://eu.tool.example/c?y=2"]
    assert {(r.method, r.headers["depth"], r.headers["authorization"]) for r in wire.asked} == {
        ("PUT", "1", "Bearer canary")
    }


async def test_see_other_is_a_reading_without_a_body() -> None:
    wire = Wire({HOME + "a": (303, {"location": "b"})})
    await http(wire).request("POST", "a", json={"n": 1}, safe=True)
    assert [(r.method, r.content, r.headers.get("content-type")) for r in wire.asked[1:]] == [("GET", b"", None)]


@pytest.mark.parametrize(
    "location",
    ["https://evil.example/", "//evil.example/", "https://api.tool.example.evil.example/", "http://api.tool.example/",
     "https://api.tool.example@evil.example/", "https://name:word@api.tool.example/"],
)  # fmt: skip
async def test_no_redirect_leads_out(location: str) -> None:
    wire = Wire({HOME + "a": (302, {"location": location})})
    with pytest.raises(ContractBroken, match="refusing to call"):
        await http(wire).request("GET", "a")
    assert len(wire.asked) == 1


@pytest.mark.parametrize("headers", [{}, {"location": ""}])
async def test_a_redirect_that_leads_nowhere_is_the_vendors_bad_moment(headers: dict[str, str]) -> None:
    wire = Wire({HOME + "a": (302, headers)})
    with pytest.raises(Transient, match="leads nowhere") as caught:
        await http(wire, attempts=2).request("GET", "a")
    assert (caught.value.status, caught.value.is_unknown, len(wire.asked)) == (302, True, 2)
    wire.answers[HOME + "a"] = (302, {"location": "https://x:port/"})
    with pytest.raises(Transient):
        await http(wire, attempts=2).request("GET", "a")
    assert len(wire.asked) == 4
    with pytest.raises(Transient):
        await http(wire).request("POST", "a", json={})
    assert len(wire.asked) == 5, "it may have been carried out: not sent again"


async def test_writes_and_circles_are_not_followed() -> None:
    wire = Wire({HOME + "a": (307, {"location": "a"})})
    with pytest.raises(ContractBroken, match="not followed"):
        await http(wire).request("POST", "a", json={})
    assert len(wire.asked) == 1
    with pytest.raises(ContractBroken, match="not followed"):
        await http(wire).request("GET", "a")
    assert len(wire.asked) == 6, "four times on"


async def test_nothing_new_is_an_answer() -> None:
    assert (await http(Wire({HOME + "a": (304, {})})).request("GET", "a")).status == 304


# --- hosts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["https://acme.tool.example/x", "https://ACME.tool.example/x", "https://a-1.tool.example/x", HOME + "x"]
)
async def test_a_pattern_takes_each_accounts_own_host(url: str) -> None:
    wire = Wire()
    await http(wire, "*.tool.example", base_url="https://login.tool.example/").request("GET", url)
    assert len(wire.asked) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://tool.example/", "https://a.b.tool.example/", "https://evil-tool.example/", "https://acme.tool.example.evil/",
        "https://acme.tool.example./", "https://.tool.example/", "https://acme.tool.example@evil.example/",
        "https://evil.example/acme.tool.example", "https://evil.example#.tool.example", "https://evil.example?.tool.example",
        "https://me@acme.tool.example/", "https://evil.example\\.tool.example/", "https://acme_.tool.example/",
        "https://-acme.tool.example/", "https://*.tool.example/", "https://evil.example\uff0f.tool.example/",
        "https://evil.example\u3002tool.example/", "https://acme.t\u043eol.example/", "http://acme.tool.example/",
        "https://evil.example%2f.tool.example/", "https://%61cme.tool.example.evil.example/",
    ],
)  # fmt: skip
async def test_and_nothing_that_only_looks_like_it(url: str) -> None:
    wire = Wire()
    with pytest.raises(ContractBroken, match=r"refusing to call|not an address"):
        await http(wire, "*.tool.example", base_url="https://login.other.example/").request("GET", url)
    assert wire.asked == []


@pytest.mark.parametrize(
    "host", ["*", "*.example", "*tool.example", "a.*.example", "*.*.example", "https://x.example", "x.example/", "X.example",
             "x.example.", "x.example:443", ""],
)  # fmt: skip
def test_a_manifest_that_would_allow_too_much_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="hosts"):
        Manifest("tool", "Tool", (), (), hosts=(host,))


# --- refusals and budgets -----------------------------------------------------------------------------------------

EXPORTS = Budget("exports", 10, MINUTE, {"export": 1}, default_units=0)
SEARCHES = Budget("searches", 10, MINUTE, {"search": 1}, default_units=0)


@pytest.fixture(params=[MemoryLedger, StoreLedger])
def ledger(request: pytest.FixtureRequest, store: Store) -> Ledger:
    return MemoryLedger() if request.param is MemoryLedger else StoreLedger(store)


async def test_a_refusal_blocks_only_what_the_call_spends(ledger: Ledger) -> None:
    wire = Wire({HOME + "export": (429, {"retry-after": "4000"})})
    tool = http(wire, ledger=ledger, budgets=(EXPORTS, SEARCHES))
    with pytest.raises(RateLimited) as caught:
        await tool.request("GET", "export", cost="export")
    assert caught.value.until == NOW + timedelta(seconds=4000)
    await tool.request("GET", "search", cost="search")
    with pytest.raises(RateLimited, match="exports"):
        await tool.request("GET", "other", cost="export")
    assert [r.url.path for r in wire.asked] == ["/export", "/search"]


async def test_a_refusal_of_the_whole_account_blocks_everything(ledger: Ledger) -> None:
    def explain(response: Any) -> RateLimited:
        return RateLimited("the account is over its limit", retry_after_s=4000, is_account_wide=True)

    tool = http(Wire({HOME + "export": (429, {})}), ledger=ledger, budgets=(EXPORTS, SEARCHES), explain=explain)
    with pytest.raises(RateLimited):
        await tool.request("GET", "export", cost="export")
    with pytest.raises(RateLimited, match="searches"):
        await tool.request("GET", "search", cost="search")


async def test_a_refusal_of_what_costs_nothing_blocks_everything(ledger: Ledger) -> None:
    tool = http(Wire({HOME + "me": (429, {"retry-after": "4000"})}), ledger=ledger, budgets=(EXPORTS, SEARCHES))
    with pytest.raises(RateLimited):
        await tool.request("GET", "me", cost="me")
    for method in ("export", "search"):
        with pytest.raises(RateLimited, match="is spent"):
            await tool.request("GET", "x", cost=method)


def test_a_named_budget_is_blocked_alone(store: Store) -> None:
    ledger = StoreLedger(store)
    http(Wire(), ledger=ledger, budgets=(EXPORTS, SEARCHES)).budget.block(30, "searches")
    assert ledger.blocked_until("default", "searches") == NOW + timedelta(seconds=30)
    assert ledger.blocked_until("default", "exports") is None


# --- connections --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("connections", "most"), [(3, 3), (0, 20)])
async def test_no_more_requests_are_under_way_than_the_vendor_takes(connections: int, most: int) -> None:
    wire = Wire()
    tool = http(wire, connections=connections)
    await asyncio.gather(*(tool.request("GET", str(n)) for n in range(20)))
    assert (wire.most, len(wire.asked)) == (most, 20)
    await tool.aclose()
