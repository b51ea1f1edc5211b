"""A recorded account leaves no secret and no person in a cassette, is only ever read, and plays back at once."""

import base64
import hashlib
import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from canary import ANA, KEPT, PEOPLE, SECRETS, Canary, CanaryTool, settings

from hub.api import AuthError, Entity, RawRecord, Tombstone, Unmapped
from hub.cli.record import main
from hub.testing import Running
from hub.testing.cassettes import replaying
from hub.testing.recorder import record, tour
from hub.testing.scrub import Scrubber
from hub_hubspot.emulator import HubSpotEmulator

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def canary() -> Iterator[Running]:
    with CanaryTool().serve() as running:
        yield running


def everything(folder: Path) -> str:
    """All cassettes, and beside each word that is base64 what it says."""
    text = "".join(p.read_text("utf-8") for p in sorted(folder.glob("*.yaml")))
    words = (w + "=" * (-len(w) % 4) for w in re.findall(r"[A-Za-z0-9_-]{8,}", text) if len(w) % 4 != 1)
    return text + "\n".join(base64.urlsafe_b64decode(w).decode("utf-8", "replace") for w in words)


@pytest.mark.anyio
async def test_canaries_do_not_get_into_a_recording(canary: Running, tmp_path: Path) -> None:
    kept = await record(Canary, settings(canary.url), tmp_path, at=AT)
    text = everything(tmp_path)
    assert [(k.step, k.requests) for k in kept] == [("check", 1), ("birds", 4)]
    assert [word for word in (*SECRETS, *PEOPLE) if word.lower() in text.lower()] == []
    assert [word for word in KEPT if word not in text] == [], "the wire format has to stay"
    assert text.startswith("# origin: recorded 2026-03-10 from a stand-in on this machine for Aviary, Birds 2, not")
    assert '"subdomain": "account' in text.splitlines()[1], "what a replay needs"
    assert text.count("person1@company1.example") > 10, "one person is one stand-in"
    assert hashlib.md5(b"person1@company1.example").hexdigest() in text, "and a hash of the address goes along"
    written = {method for method, path, _ in canary.emulator.requests if path not in {"/token", "/search", "/batch"}}
    assert written == {"GET"}, "nothing that could write has left"


@pytest.mark.anyio
async def test_what_was_recorded_plays_back_in_another_process(canary: Running, tmp_path: Path) -> None:
    """With the settings of the second line; the vendor hears nothing of it, no sign-in either."""
    await record(Canary, settings(canary.url), tmp_path, at=AT)
    calls = len(canary.emulator.requests)
    given = settings(canary.url).model_copy(update={"mailbox": "person1@company1.example"})
    async with replaying(Canary, given, tmp_path / "recorded-birds.yaml", at=AT) as bird:
        again = await tour(bird, "birds")
    assert again == [("page", "1", "0", "0", "0", "True"), ("Unmapped",), ("RecordRejected",)]
    assert len(canary.emulator.requests) == calls


@pytest.mark.anyio
async def test_a_recording_that_still_holds_somebody_is_thrown_away(
    canary: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scrubber, "_say", lambda self, value: value)
    with pytest.raises(ValueError, match="thrown away"):
        await record(Canary, settings(canary.url), tmp_path, at=AT)
    assert not (tmp_path / "recorded-birds.yaml").exists()


class Moody(Canary):
    """Maps what it reads in another way each time."""

    moods = itertools.cycle([Tombstone(external_id="bird"), Unmapped(external_id="bird", reason="a bird")])

    def to_canonical(self, stream: str, raw: RawRecord) -> Iterator[Entity]:
        yield next(self.moods)


@pytest.mark.anyio
async def test_a_recording_that_plays_back_otherwise_is_thrown_away(canary: Running, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"played back, it gives \('Unmapped',\), not \('Tombstone',\)"):
        await record(Moody, settings(canary.url), tmp_path, at=AT)
    assert not (tmp_path / "recorded-birds.yaml").exists()


def test_stand_ins_are_stable_and_tell_people_apart() -> None:
    scrub = Scrubber(["s3cret-value"])
    first, again, other = (scrub.plain(t) for t in ("Ana@Firm.test wrote", "ana@firm.test", "ben@firm.test"))
    assert first == f"{again} wrote"
    assert again != other
    assert again.partition("@")[2] == other.partition("@")[2], "colleagues stay colleagues"
    assert scrub.account("4711") == scrub.account("4711") == "1000001"
    assert scrub.value("portalId", 47110815) == 1000002
    assert scrub.plain("portal 47110815, not 471108150 or 4711; s3cret-value") == (
        "portal 1000002, not 471108150 or 4711; hidden"
    ), "a number as short as 4711 stands for many things"
    assert ANA not in scrub.url(f"https://api.vendor.test/u/{ANA.replace('@', '%40')}?email={ANA}&token=abc")


CONFIG = """\
[hub]
data_dir = "{folder}"
[connections.crm]
connector = "hubspot"
[connections.crm.settings]
base_url = "{url}/"
token = {{ env = "RECORD_TEST_TOKEN" }}
"""


def test_make_record_reads_an_account_and_proves_what_it_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `make record` runs, against a stand-in: every step kept and played back, nothing written."""
    emulator = HubSpotEmulator(token="demo-token")
    with emulator.serve() as running:
        contact = {"id": "501", "properties": {"email": ANA, "firstname": "Anastasia", "lastname": "Canary"}}
        emulator.control("seed", {"owners": [], "objects": {"contacts": [contact]}})
        before = emulator.state()["objects"]
        file, into = tmp_path / "hub.toml", tmp_path / "cassettes"
        file.write_text(CONFIG.format(folder=tmp_path.as_posix(), url=running.url))
        monkeypatch.setenv("RECORD_TEST_TOKEN", "demo-token")
        monkeypatch.delenv("CI", raising=False)
        assert main(["hubspot", "--config", str(file), "--connection", "crm", "--into", str(into)]) == 0
        out = capsys.readouterr().out
        assert emulator.state()["objects"] == before
    assert "contacts: 3 exchanges" in out or "contacts: 4 exchanges" in out
    text = (into / "recorded-contacts.yaml").read_text("utf-8")
    assert text.startswith("# origin: recorded 20")
    assert ANA not in text
    assert "Canary" not in text
    assert '"email": "person' in text
    for arguments, told in (
        (["zendesk"], "no single connection of zendesk is meant. Fix: CONNECTION=name; there are: crm (hubspot)"),
        (["hubspot", "--connection", "other"], "there are: crm (hubspot)"),
    ):
        assert main([*arguments, "--config", str(file)]) == 2
        assert told in capsys.readouterr().err
    monkeypatch.setenv("CI", "true")
    assert main(["hubspot", "--config", str(file)]) == 2
    assert "not done in CI" in capsys.readouterr().err


@pytest.mark.anyio
async def test_a_refused_sign_in_leaves_nothing_behind(canary: Running, tmp_path: Path) -> None:
    canary.faults.add("status", status=401, path="/me", body={"error": f"not you, {ANA}"})
    try:
        with pytest.raises(AuthError):
            await record(Canary, settings(canary.url), tmp_path, at=AT)
    finally:
        canary.faults.clear()
    assert not (tmp_path / "recorded-check.yaml").exists()
