"""Every request the connector sends and every answer the emulator gives, against the grammar the RFCs publish.

The grammar is copied from the element declarations of RFC 4918 section 14, RFC 6578 section 6, RFC 4791 section 9, RFC 5397
and RFC 3744, as one pattern of children per element. CalDAV has no machine-readable specification to check against.

Deviations the facts demand: `getctag` (calendarserver.org) is in no RFC; every server gives it.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from hub.api import Window
from hub_caldav import xml
from hub_caldav.emulator import REPORTS, CalDavEmulator

pytestmark = pytest.mark.anyio

Make = Callable[..., str]
TEXT = "#text"
ANY = "#any"
# fmt: off
GRAMMAR = {
    # RFC 4918
    "d:propfind": "(d:propname|d:allprop(d:include)?|d:prop)", "d:prop": ANY,
    "d:multistatus": "(d:response)*(d:responsedescription)?(d:sync-token)?",
    "d:response": "d:href((d:href)*d:status|(d:propstat)+)(d:error)?(d:responsedescription)?(d:location)?",
    "d:propstat": "d:prop d:status(d:error)?(d:responsedescription)?", "d:error": ANY, "d:href": TEXT, "d:status": TEXT,
    "d:resourcetype": "(d:collection)?(c:calendar)?", "d:displayname": TEXT, "d:getetag": TEXT, "d:getcontenttype": TEXT,
    # RFC 6578
    "d:sync-collection": "d:sync-token d:sync-level(d:limit)?d:prop", "d:sync-token": TEXT, "d:sync-level": TEXT,
    # RFC 5397, RFC 3744
    "d:current-user-principal": "(d:unauthenticated|d:href)", "d:current-user-privilege-set": "(d:privilege)*", "d:privilege": ANY,
    # RFC 4791, RFC 6638
    "c:calendar-multiget": "((d:allprop|d:propname|d:prop)?(d:href)+)",
    "c:calendar-query": "(d:allprop|d:propname|d:prop)?c:filter(c:timezone)?", "c:filter": "c:comp-filter",
    "c:comp-filter": "(c:is-not-defined|(c:time-range)?(c:prop-filter)*(c:comp-filter)*)", "c:time-range": "",
    "c:calendar-home-set": "(d:href)*", "c:supported-calendar-component-set": "(c:comp)+", "c:comp": "",
    "d:collection": "", "c:calendar": "", "c:calendar-data": TEXT, "c:calendar-user-address-set": "(d:href)*",
    "cs:getctag": TEXT,
}
# fmt: on
ATTRIBUTES = {"c:time-range": {"start", "end"}, "c:comp-filter": {"name"}, "c:comp": {"name"}}
SHORT = {uri: prefix for prefix, uri in xml.PREFIXES.items()}


def name_of(element: ET.Element) -> str:
    uri, _, local = element.tag[1:].partition("}")
    return f"{SHORT.get(uri, uri)}:{local}"


def mismatches(element: ET.Element, inside_prop: bool = False, is_asked: bool = False) -> Iterator[str]:
    """What in the document no declaration allows. is_asked: properties are named, so that they are empty."""
    name = name_of(element)
    model = GRAMMAR.get(name)
    children = [name_of(child) for child in element]
    if model is None:
        if not inside_prop:
            yield f"{name}: in no specification"
        return
    if unknown := set(element.attrib) - ATTRIBUTES.get(name, set()):
        yield f"{name}: attributes {unknown}"
    if model == TEXT and children:
        yield f"{name}: children where text belongs"
    elif model not in {TEXT, ANY} and not (is_asked and inside_prop):
        pattern = re.sub(r"[a-z]+:[a-z-]+", lambda m: f"(?:{m[0]},)", model).replace(" ", "")
        if not re.fullmatch(pattern, "".join(f"{c}," for c in children)):
            yield f"{name}: {children} does not fit {model}"
    for child in element:
        yield from mismatches(child, name in {"d:prop", "d:error", "d:privilege"}, is_asked)


def check_request(method: str, body: bytes) -> list[str]:
    root = ET.fromstring(body)
    wanted = {"PROPFIND": {"d:propfind"}, "REPORT": {"c:calendar-multiget", "c:calendar-query", "d:sync-collection"}}[
        method
    ]
    found = [] if name_of(root) in wanted else [f"{method} with {name_of(root)}"]
    return found + list(mismatches(root, is_asked=True))


def check_answer(status: int, body: bytes) -> list[str]:
    root = ET.fromstring(body)
    expected = "d:multistatus" if status == 207 else "d:error"
    found = [] if name_of(root) == expected else [f"{status} with {name_of(root)}"]
    # RFC 6578 puts the token last; servers put it first as well, and clients must take both.
    tokens = root.findall(xml.tag("d:sync-token"))
    for token in tokens:
        root.remove(token)
        root.append(token)
    for missing in root.iter(xml.tag("d:propstat")):
        if " 200 " not in (missing.findtext(xml.tag("d:status")) or ""):
            for prop in missing.findall(xml.tag("d:prop")):
                prop.clear()  # properties that are not there are only named
    return found + list(mismatches(root))


def test_the_checker_finds_what_is_wrong() -> None:
    wrong = b'<d:multistatus xmlns:d="DAV:"><d:response><d:status/></d:response><d:odd/><d:href a="1"/></d:multistatus>'
    assert len(list(mismatches(ET.fromstring(wrong)))) >= 4
    assert check_request("REPORT", xml.propfind("d:getetag"))


@pytest.mark.parametrize("style", ["radicale", "xandikos", "plain"])
async def test_what_is_sent_and_answered_fits_the_grammar(make_bench: Any, make_event: Make, style: str) -> None:
    bench = make_bench(style=style)
    server, connector = bench.server, bench.connect(push_calendar="Work")
    server.add_calendar("tasks", "Tasks", ("VTODO",))
    hrefs = [server.put(make_event(f"{n}@example.org", f"DTSTART:2026031{n}T090000Z")) for n in range(5)]
    await connector.check()
    await connector.estimate("events", Window())
    await bench.sync()
    server.put(make_event("0@example.org", "DTSTART:20260310T100000Z"))
    server.remove(hrefs[1])
    await bench.sync()
    await connector.census("events", Window(since=bench.clock.now()))
    await connector.fetch("events", hrefs)
    await connector.find("interaction", ["hub-1"])
    server.forget_tokens()
    server.put(make_event("0@example.org", "DTSTART:20260310T110000Z"))
    await bench.sync()
    requests = [(m, b) for m, _, b, _, _ in bench.recorder.calls if m in {"PROPFIND", "REPORT"}]
    answers = [(s, b) for m, _, _, s, b in bench.recorder.calls if m in {"PROPFIND", "REPORT"}]
    assert len(requests) > 15
    assert [p for method, body in requests for p in check_request(method, body)] == []
    assert [p for status, body in answers for p in check_answer(status, body)] == []
    kinds = {name_of(ET.fromstring(b)).partition(":")[2] for m, b in requests if m == "REPORT"}
    assert kinds == set(REPORTS) - ({"sync-collection"} if style == "plain" else set())


@pytest.mark.parametrize(("style", "status"), [("radicale", 403), ("xandikos", 412)])
def test_the_emulator_writes_in_either_hand(running: Any, make_event: Make, style: str, status: int) -> None:
    """What Radicale 3.9 and Xandikos 0.4 were seen to answer; `test_real_servers.py` shows the same of them."""
    server = CalDavEmulator(style=style)
    running.put(server)
    server.put(make_event("a@example.org", "DTSTART:20260310T090000Z"))
    with httpx.Client(base_url=running.url, auth=("anna", "pass-of-anna")) as client:

        def report(body: bytes) -> httpx.Response:
            return client.request("REPORT", server.href("work"), content=body, headers={"depth": "0"})

        bad = report(xml.sync_collection("never-given"))
        assert (bad.status_code, xml.tag("d:valid-sync-token") in xml.conditions(bad.content)) == (status, True)
        good = report(xml.sync_collection(""))
        root = ET.fromstring(good.content)
        assert [e.tag for e in root].index(xml.tag("d:sync-token")) == (1 if style == "xandikos" else 0)
        assert (b"<ns0:multistatus" in good.content) == (style == "xandikos")
        assert (b"%40" in good.content) == (style == "xandikos")
        no_filter = report(b'<c:calendar-query xmlns:c="urn:ietf:params:xml:ns:caldav"/>')
        assert no_filter.status_code == 403
        assert (
            client.request("PROPFIND", server.home, headers={"depth": "infinity"}, content=xml.propfind()).status_code
            == 403
        )
        assert client.request("PROPFIND", "/", auth=("anna", "wrong")).status_code == 401


def test_the_emulators_conditions_on_writing(running: Any, make_event: Make) -> None:
    server = CalDavEmulator()
    running.put(server)
    one, path = make_event("a@example.org", "DTSTART:20260310T090000Z"), f"{server.href('work')}a.ics"
    with httpx.Client(base_url=running.url, auth=("anna", "pass-of-anna")) as client:
        made = client.put(path, content=one, headers={"if-none-match": "*"})
        assert (made.status_code, bool(made.headers["etag"])) == (201, True)
        assert client.put(path, content=one, headers={"if-none-match": "*"}).status_code == 412
        assert client.put(path, content=one, headers={"if-match": '"other"'}).status_code == 412
        assert client.put(path, content=one, headers={"if-match": made.headers["etag"]}).status_code == 204
        assert client.put(f"{server.href('work')}b.ics", content=one).status_code == 409
        assert client.put(f"{server.href('work')}c.ics", content="nonsense").status_code == 403
        assert client.get(path).headers["etag"] == made.headers["etag"]
        assert client.delete(path, headers={"if-match": '"other"'}).status_code == 412
        assert client.delete(path).status_code == 204
        assert client.delete(path).status_code == 404
        loaded = client.post("/_emulator/put", json={"text": one}).json()["href"]
        assert client.get(loaded).status_code == 200
        client.post("/_emulator/delete", json={"href": loaded})
        assert client.get(loaded).status_code == 404
