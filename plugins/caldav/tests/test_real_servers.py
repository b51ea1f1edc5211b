"""The connector against real servers on loopback: Radicale and Xandikos, started here and stopped again.

They differ where CalDAV leaves room: how a forgotten sync token is refused, where the token stands, how namespaces and
addresses are spelled. The emulator's two hands are compared with them at the end.
"""

import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from hub.api import Change, CursorExpired, Identifier, Interaction, JournalEntry, Participation, Window
from hub_caldav import xml
from hub_caldav.cursor import parse_cursor
from hub_caldav.dav import Dav

pytestmark = pytest.mark.anyio

SERVERS = {
    "radicale": [
        "-m", "radicale", "--hosts", "127.0.0.1:{port}", "--storage-filesystem-folder", "{folder}/data",
        "--auth-type", "none", "--logging-level", "critical",
    ],
    "xandikos": [
        "-m", "xandikos.web", "-d", "{folder}/data", "--defaults", "--current-user-principal", "/anna/",
        "-l", "127.0.0.1", "-p", "{port}", "--no-detect-systemd", "--state-dir", "{folder}/state",
    ],
}  # fmt: skip
CALENDARS = {"radicale": "/anna/work/", "xandikos": "/anna/calendars/work/"}
PROPS = xml.propfind("d:getetag")
XML = {"content-type": "application/xml; charset=utf-8"}  # Xandikos answers 415 without it
BAD_TOKEN = {"radicale": 403, "xandikos": 412}


@contextmanager
def started(name: str, folder: Path) -> Iterator[str]:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "data").mkdir()
    arguments = [a.format(port=port, folder=folder) for a in SERVERS[name]]
    environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "PYTHONWARNINGS": "ignore"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *arguments], stdout=log, stderr=log, cwd=folder, env=environment)
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    with socket.create_connection(("127.0.0.1", port), 0.2):
                        break
                except OSError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        pytest.fail(f"{name} did not start: {(folder / 'log').read_text()[-500:]}")
                    time.sleep(0.05)  # a real process on a real port: there is no clock to inject
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="module", params=sorted(SERVERS))
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """(name, URL) with one calendar "work"."""
    name: str = request.param
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    with started(name, tmp_path_factory.mktemp(name)) as url:
        with httpx.Client(base_url=url, auth=("anna", "pass-of-anna"), timeout=30) as client:
            made = client.request("MKCALENDAR", CALENDARS[name])
            assert made.status_code in {200, 201}, made.text
        yield name, url


@pytest.fixture
def client(real: tuple[str, str]) -> Iterator[httpx.Client]:
    """Another calendar program on the same account; it leaves an empty calendar behind."""
    name, url = real
    with httpx.Client(base_url=url, auth=("anna", "pass-of-anna"), timeout=30) as client:
        yield client
        # What one test leaves behind, the next must not find.
        listing = client.request("PROPFIND", CALENDARS[name], headers={**XML, "depth": "1"}, content=PROPS)
        for node in xml.multistatus(listing.content).nodes:
            if node.href.endswith(".ics"):
                client.delete(node.href)


def ask(client: httpx.Client, method: str, path: str, **more: Any) -> httpx.Response:
    return client.request(method, path, **more)


def put(client: httpx.Client, name: str, href: str, text: str) -> str:
    path = CALENDARS[name] + href
    answer = client.put(path, content=text.encode(), headers={"content-type": "text/calendar"})
    assert answer.status_code in {201, 204}, answer.text
    return path


async def test_a_calendar_is_found_read_and_followed(
    real: tuple[str, str], client: httpx.Client, make_bench: Callable[..., Any], make_event: Callable[..., str]
) -> None:
    name, url = real
    one = put(client, name, "one.ics", make_event("one@example.org", "DTSTART:20260310T090000Z", "SUMMARY:Plan\\, one"))
    two = put(client, name, "two.ics", make_event("two@example.org", "DTSTART;VALUE=DATE:20260311", "SUMMARY:Day"))
    series = make_event(
        "s@example.org", "DTSTART;TZID=Europe/Berlin:20260309T100000", "RRULE:FREQ=WEEKLY;COUNT=3", "SUMMARY:S"
    )
    three = put(client, name, "s.ics", series)
    bench = make_bench(url)
    connector = bench.connect()
    pages = await bench.sync(connector)
    assert pages[-1].is_last
    weekly = {f"{three}#202603{d:02}T0900{z}" for d, z in ((9, "00Z"), (16, "00Z"), (23, "00Z"))}
    assert set(bench.entities()) == {one, two, *weekly}
    assert bench.entities()[one].subject == "Plan, one"
    assert str(bench.entities()[two].all_day) == "2026-03-11"
    bench.asked()

    assert await bench.sync() == []
    assert bench.asked() == ["PROPFIND"]

    put(client, name, "one.ics", make_event("one@example.org", "DTSTART:20260310T110000Z", "SUMMARY:Moved"))
    put(client, name, "s.ics", series.replace("COUNT=3", "COUNT=3\r\nEXDATE;TZID=Europe/Berlin:20260316T100000"))
    ask(client, "DELETE", two)
    await bench.sync()
    assert set(bench.entities()) == {one, *(w for w in weekly if "0316" not in w)}
    assert bench.entities()[one].subject == "Moved"
    counted = await connector.census("events", Window())
    assert counted is not None
    assert counted.ids == set(bench.entities())


async def test_each_refuses_a_forgotten_token_in_its_own_way_and_both_are_understood(
    real: tuple[str, str], client: httpx.Client, make_bench: Callable[..., Any], make_event: Callable[..., str]
) -> None:
    name, url = real
    put(client, name, "a.ics", make_event("a@example.org", "DTSTART:20260310T090000Z"))
    token = "http://radicale.org/ns/sync/" + "0" * 64 if name == "radicale" else "0" * 40
    answer = ask(client, "REPORT", CALENDARS[name], content=xml.sync_collection(token), headers={**XML, "depth": "0"})
    assert answer.status_code == BAD_TOKEN[name]
    assert xml.tag("d:valid-sync-token") in xml.conditions(answer.content)
    connector = make_bench(url).connect()
    with pytest.raises(CursorExpired):
        await Dav(connector.http, 50).changes(CALENDARS[name], token)


async def test_a_deletion_while_the_token_was_forgotten_is_found(
    real: tuple[str, str], client: httpx.Client, make_bench: Callable[..., Any], make_event: Callable[..., str]
) -> None:
    name, url = real
    kept = put(client, name, "kept.ics", make_event("kept@example.org", "DTSTART:20260310T090000Z"))
    lost = put(client, name, "lost.ics", make_event("lost@example.org", "DTSTART:20260310T100000Z"))
    bench = make_bench(url)
    bench.connect()
    await bench.sync()
    assert set(bench.landed.bodies) == {kept, lost}
    cursor = parse_cursor(bench.landed.cursor)
    for place in cursor.places.values():
        place.token = "0" * 40
    bench.landed.cursor = cursor.text()
    ask(client, "DELETE", lost)
    pages = await bench.sync()
    assert pages[-1].is_last
    assert set(bench.landed.bodies) == {kept}


async def test_a_meeting_is_written_once_found_changed_and_taken_back(
    real: tuple[str, str], client: httpx.Client, make_bench: Callable[..., Any]
) -> None:
    name, url = real
    bench = make_bench(url)
    connector = bench.connect(push_calendar=CALENDARS[name])
    matrix = await connector.check()
    assert all(p.is_granted for p in matrix.permissions), matrix.permissions
    at = bench.clock.now()
    people = (("organizer", "team@example.com"), ("attendee", "person@example.org"))
    meeting = Interaction(
        external_id="i1", kind="meeting", channel="calendar", subject="Offer; with, signs", text="Words,\nmore; words.",
        occurred_at=at, ended_at=at + timedelta(hours=1), status="confirmed",
        participants=tuple(Participation(identifier=Identifier("email", a), role=r) for r, a in people),
    )  # fmt: skip
    change = Change(key="hub-i1", kind="interaction", op="upsert", entity=meeting)
    [made] = await connector.push([change])
    assert (made.outcome, bool(made.version)) == ("created", True)
    assert [(f.key, f.version) for f in await connector.find("interaction", ["hub-i1", "hub-other"])] == [
        ("hub-i1", made.version)
    ]
    assert [r.outcome for r in await connector.push([change])] == ["unchanged"]
    await bench.sync(connector)
    [echo] = bench.entities().values()
    assert echo.dedup_keys[0] == "hub-key:hub-i1"
    assert (echo.subject, echo.text, echo.occurred_at, echo.ended_at) == (
        meeting.subject,
        meeting.text,
        at,
        meeting.ended_at,
    )
    assert {(p.role, p.identifier.value) for p in echo.participants} == set(people)
    text = ask(client, "GET", urlsplit(made.remote_id).path).text.replace("\r\n ", "")
    assert text.count("SCHEDULE-AGENT=CLIENT") == 2

    later = msgspec.structs.replace(meeting, subject="Another offer")
    changed = msgspec.structs.replace(change, entity=later, remote_id=made.remote_id)
    [updated] = await connector.push([changed])
    assert updated.outcome == "updated"
    [back] = await connector.undo([JournalEntry(change=changed, receipt=updated)])
    assert back.outcome == "updated"
    await bench.sync(connector)
    assert [e.subject for e in bench.entities().values()] == [meeting.subject]
    restored = msgspec.structs.replace(made, version=back.version)
    assert [r.outcome for r in await connector.undo([JournalEntry(change=change, receipt=restored)])] == ["deleted"]
    await bench.sync(connector)
    assert bench.entities() == {}
