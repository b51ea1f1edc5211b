"""`ihub hook`, as a person and as a script use it."""

import argparse
import asyncio
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from emptying import empty_database
from receiving import Receiver
from test_signature import verified

from hub.cli import main
from hub.cli.hooks import FORMS, telling
from hub.cli.opening import opened
from hub.cli.output import Screen
from hub.cli.text import width
from hub.store import Store

Ihub = Callable[..., Any]
DOCS = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()


@pytest.fixture
def ihub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ihub:
    """Run `ihub hook ...`: the JSON where asked for, else the text, which has to fit 80 columns."""
    for name in [n for n in os.environ if n.startswith("HUB_")]:
        monkeypatch.delenv(name)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/hub.db").write_bytes(empty_database())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HUB_HOOKS__ALLOW_LOOPBACK", "true")
    monkeypatch.setenv("HUB_SECRET_KEY", Fernet.generate_key().decode())

    def run(*words: str, code: int = 0) -> Any:
        capsys.readouterr()
        found = main(["hook", *words])
        out, err = capsys.readouterr()
        assert found == code, (found, out, err)
        if "--json" in words:
            return json.loads(out)
        assert [line for line in (out + err).splitlines() if width(line) > 80] == []
        return out + err

    return run


def test_from_the_first_endpoint_to_none(ihub: Ihub, receiver: Receiver, tmp_path: Path) -> None:
    assert "ihub hook add" in ihub("list")
    made = ihub("add", receiver.url, "issue.*", "contact.*", "--description", "the billing tool", "--json")
    ident, secret = made["endpoint"], made["secret"]
    assert (made["state"], made["events"]) == ("active", ["issue.*", "contact.*"])
    assert "answered 200" in ihub("test", ident)
    assert verified(secret, *receiver.got[-1])
    happen(tmp_path, 2)
    assert ihub("deliver", "--json") == {"next_at": None, "left": 0, "endpoints": {ident: _counts(done=2)}}
    assert [e["type"] for e in receiver.events[1:]] == ["hub.issue.created.v1"] * 2
    assert verified(secret, *receiver.got[-1])
    log = ihub("deliveries", ident[:7], "--json")["deliveries"]
    assert [(x["cursor"], x["state"], x["attempts"][0]["status"]) for x in log] == [(2, "done", 200), (1, "done", 200)]
    text = ihub("deliveries", ident, "--limit", "1")
    assert "--before 2" in text
    assert log[1]["event"] not in text
    assert log[1]["event"] in ihub("deliveries", ident, "--before", "2", "--state", "done", "--customer", "iss_1")
    ihub("resend", ident, log[0]["event"])
    assert ihub("replay", ident, "--after", "0", "--until", "1", "--json")["queued"] == 1
    assert "2 due, 0 waiting" in ihub("show", ident)
    ihub("pause", ident, "--why", "moving house")
    assert "paused: moving house" in ihub("show", ident)
    before = len(receiver.got)
    ihub("deliver")
    assert len(receiver.got) == before
    ihub("resume", ident)
    ihub("deliver")
    assert len(receiver.got) == before + 2
    other = re.search(r"whsec_\S+", ihub("rotate", ident))
    ihub("test", ident, "--json")
    assert other
    assert verified(other[0], *receiver.got[-1])
    assert verified(secret, *receiver.got[-1])
    assert "--yes" in ihub("remove", ident, code=2)
    assert ihub("remove", ident, "--yes", "--json") == {"endpoint": ident, "removed": True, "dropped": 0}
    assert ihub("list", "--json") == {"endpoints": []}


def _counts(**more: int) -> dict[str, int]:
    return {"waiting": 0, "due": 0, "done": 0, "failed": 0, **more}


def happen(folder: Path, count: int) -> None:
    """Issues, of no connection."""
    store = Store.open(f"sqlite:///{folder}/data/hub.db")
    with store.write() as c:
        for n in range(count):
            c.execute(sa.text(
                "insert into issue (cause, detail, about, opened_at, last_seen_at) values ('test', '', 'x', 1, :n)"
            ), {"n": n})  # fmt: skip
    store.close()


def test_a_receiver_that_fails(ihub: Ihub, receiver: Receiver, tmp_path: Path) -> None:
    ident = ihub("add", receiver.url, "--json")["endpoint"]
    receiver.answer = lambda _: (500, {}, b"out of paper " * 200)
    assert "it answered 500" in ihub("test", ident, code=3)
    happen(tmp_path, 1)
    assert "1 event in line" in ihub("deliver")
    assert "out of paper" in ihub("deliveries", ident, "--state", "due")
    assert "failing since" in ihub("show", ident)
    receiver.answer = lambda _: 410
    ihub("resume", ident)
    ihub("deliver", code=3)
    assert "disabled: the receiver answered 410" in ihub("show", ident)
    assert "disabled" in ihub("list")


def test_beside_the_schedule_they_are_sent_all_the_time(ihub: Ihub, receiver: Receiver, tmp_path: Path) -> None:
    ihub("add", receiver.url)
    happen(tmp_path, 1)

    async def work() -> None:
        heard, loop = asyncio.Event(), asyncio.get_running_loop()

        def answer(_: dict[str, Any]) -> int:
            loop.call_soon_threadsafe(heard.set)
            return 200

        receiver.answer = answer
        with opened(argparse.Namespace(config=None, data_dir=None), Screen(is_quiet=True)) as engine:
            async with telling(engine):
                await asyncio.wait_for(heard.wait(), 30)

    asyncio.run(work())
    assert receiver.events[0]["type"] == "hub.issue.created.v1"


@pytest.mark.parametrize(("words", "said"), [
    (("add",), "ihub hook add URL"), (("add", "http://hooks.example/"), "https://"), (("add", "https://10.0.0.1/"), "not a public"),
    (("add", "https://hooks.example/", "contacts.created"), "did you mean"), (("replay", "ep_1"), "--after"),
    (("resend", "ep_1"), "ihub hook resend ID EVENT"), (("list", "x"), "ihub hook list"), (("dance",), "invalid choice"),
])  # fmt: skip
def test_a_mistake_is_named_with_its_fix(ihub: Ihub, words: tuple[str, ...], said: str) -> None:
    assert said in " ".join(ihub(*words, code=2).split())


@pytest.mark.parametrize("verb", ["show", "pause", "resume", "rotate", "remove", "deliveries", "test"])
def test_an_endpoint_that_is_not_there(ihub: Ihub, verb: str) -> None:
    assert "ihub hook list" in " ".join(ihub(verb, "ep_none", code=1).split())


def test_without_a_key_the_way_to_one_is_named(ihub: Ihub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUB_SECRET_KEY")
    assert "ihub init --key" in " ".join(ihub("add", "https://hooks.example/", code=2).split())


def test_the_events_are_listed(ihub: Ihub) -> None:
    assert len(ihub("events", "--json")["types"]) == 28
    assert re.search(r"contact +created, updated, deleted", ihub("events"))


def test_every_verb_and_json_key_is_named_in_the_docs(ihub: Ihub, receiver: Receiver, tmp_path: Path) -> None:
    section = DOCS.partition("### ihub hook\n")[2].partition("\n##")[0]
    for verb, (words, _) in FORMS.items():
        assert f"`{f'{verb} {words}'.rstrip()}`" in section, verb
    made = ihub("add", receiver.url, "--json")
    happen(tmp_path, 1)
    found = [
        made,
        ihub("deliver", "--json"),
        ihub("deliveries", made["endpoint"], "--json"),
        ihub("test", made["endpoint"], "--json"),
    ]
    keys = {k for doc in found for k in _keys(doc)} - {made["endpoint"]}
    for key in sorted(keys):
        assert f'"{key}"' in section, key


def _keys(document: Any) -> set[str]:
    if isinstance(document, dict):
        return set(document) | {k for value in document.values() for k in _keys(value)}
    return {k for value in document for k in _keys(value)} if isinstance(document, list) else set()
