"""What goes wrong on the way, and what the connector makes of it: waits, repeats the failed part, or says so."""

from datetime import UTC, timedelta
from typing import Any

import pytest

from hub.api import AuthError, ContractBroken, RateLimited, RawRecord, RecordRejected, ScopeError, Transient

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_pages")]


@pytest.fixture
def model(make_model: Any) -> Any:
    return make_model()


@pytest.mark.parametrize("scope", ["concurrent", "user", "sending"])
async def test_parts_of_a_batch_refused_for_speed_are_asked_again_alone(rig: Any, model: Any, scope: str) -> None:
    ids = rig.fill(45)
    rig.faults.add("quota", path="/messages/", every=3, times=12, scope=scope)
    gmail = rig.gmail()
    await rig.sync(gmail, model)
    assert model.ids == set(ids)
    assert not model.gaps
    spent = rig.emulator.quota.spent[rig.address]
    assert spent == 1 + 2 * 5 + 45 * 20, "only what was refused was asked again"


async def test_the_vendors_minute_is_waited_out(rig: Any, model: Any) -> None:
    """The budget believes in 6,000 units a minute; the vendor gives 500. 30 messages need 600."""
    ids = rig.fill(30)
    rig.emulator.quota.per_minute = 500
    started = rig.clock.now()
    await rig.sync(rig.gmail(), model)
    assert model.ids == set(ids)
    assert timedelta(0) < rig.clock.now() - started < timedelta(minutes=4)


async def test_our_own_budget_is_never_overspent(rig: Any, model: Any) -> None:
    ids = rig.fill(300)
    rig.emulator.quota.per_minute = 5_700
    rig.emulator.quota._refusals = 0
    await rig.sync(rig.gmail(), model)
    assert model.ids == set(ids)
    assert rig.emulator.quota._refusals == 0


@pytest.mark.parametrize("path", ["/messages", "/messages/"])
async def test_a_spent_day_waits_for_midnight_pacific(rig: Any, model: Any, path: str) -> None:
    rig.fill(3)
    rig.faults.add("quota", path=path, scope="daily")
    with pytest.raises(RateLimited) as caught:
        await rig.sync(rig.gmail(), model)
    until = caught.value.until
    assert until is not None
    assert until.astimezone(UTC).hour in {7, 8}
    assert 0 < (until - rig.clock.now()).total_seconds() <= 25 * 3600
    assert model.cursor is None
    rig.faults.clear()
    rig.clock.advance(25 * 3600)
    await rig.sync(rig.gmail(), model)
    assert model.ids == rig.existing()


async def test_a_token_that_dies_mid_run_is_renewed_once(rig: Any, model: Any) -> None:
    ids = rig.fill(60)
    rig.faults.add("expire_token", path="/batch", skip=1, times=1)
    await rig.sync(rig.gmail(), model)
    assert model.ids == set(ids)


async def test_a_token_that_dies_inside_a_batch_is_renewed_too(rig: Any, model: Any) -> None:
    ids = rig.fill(40)
    rig.faults.add("expire_token", path="/messages/", skip=4, times=1)
    gmail = rig.gmail()
    await rig.sync(gmail, model)
    assert model.ids == set(ids)
    assert not model.gaps


@pytest.mark.parametrize("path", ["/profile", "/batch", "/messages/"])
async def test_a_revoked_sign_in_is_for_a_person(rig: Any, model: Any, path: str) -> None:
    rig.fill(40)
    rig.faults.add("revoke_token", path=path, skip=1 if path == "/batch" else 0, address=rig.address)
    with pytest.raises(AuthError):
        await rig.sync(rig.gmail(), model)


async def test_a_scope_lost_overnight_stops_the_stream_and_says_so(rig: Any, model: Any) -> None:
    rig.fill(5)
    gmail = rig.gmail()
    await rig.sync(gmail, model)
    cursor = model.cursor
    rig.fill(1)
    rig.faults.add("deny_scope", path="/messages/")
    with pytest.raises(ScopeError):
        await rig.sync(gmail, model)
    assert model.cursor == cursor


@pytest.mark.parametrize("kind", ["truncate", "reset", "drop_answer", "status"])
@pytest.mark.parametrize("path", ["/batch", "/messages", "/profile"])
async def test_cut_lines_and_passing_troubles_are_repeated(rig: Any, model: Any, kind: str, path: str) -> None:
    ids = rig.fill(20)
    rig.faults.add(kind, path=path, times=2, **({"status": 503} if kind == "status" else {}))
    await rig.sync(rig.gmail(), model)
    assert model.ids == set(ids)


async def test_a_vendor_that_stays_down_is_given_up_after_some_tries(rig: Any, model: Any) -> None:
    rig.fill(3)
    rig.faults.add("status", path="/batch", status=500)
    with pytest.raises(Transient):
        await rig.sync(rig.gmail(), model)
    assert sum(1 for _, last in rig.requests() if last == "v1") == 5


@pytest.mark.parametrize("path", ["/profile", "/messages", "/batch", "/history"])
async def test_a_page_for_people_with_status_200_never_moves_the_cursor(rig: Any, model: Any, path: str) -> None:
    rig.fill(3)
    gmail = rig.gmail()
    if path == "/history":
        await rig.sync(gmail, model)
    cursor = model.cursor
    rig.faults.add("html", path=path)
    with pytest.raises(ContractBroken):
        await rig.sync(gmail, model)
    assert model.cursor == cursor


@pytest.mark.parametrize("path", ["/profile", "/messages", "/batch", "/history"])
async def test_an_empty_object_is_no_empty_mailbox(rig: Any, model: Any, path: str) -> None:
    rig.fill(3)
    gmail = rig.gmail()
    await rig.sync(gmail, model)
    held, cursor = dict(model.bodies), model.cursor if path == "/history" else None
    model.cursor = cursor
    rig.faults.add("status", path=path, status=200, body={})
    with pytest.raises(ContractBroken):
        await rig.sync(gmail, model)
    assert (model.bodies, model.cursor) == (held, cursor)


@pytest.mark.parametrize("how", ["missing", "base64", "type"])
async def test_a_poisoned_message_isolates_itself(rig: Any, model: Any, how: str) -> None:
    ids = rig.fill(30)
    bad = ids[7]
    rig.faults.add("poison", ids=[bad], how=how)
    gmail = rig.gmail()
    await rig.sync(gmail, model)
    assert model.ids == set(ids)
    landed = 0
    for own, body in model.bodies.items():
        if own == bad:
            with pytest.raises(RecordRejected) as caught:
                list(gmail.to_canonical("messages", RawRecord(own, body)))
            assert caught.value.external_id == bad
        else:
            landed += len(list(gmail.to_canonical("messages", RawRecord(own, body))))
    assert landed == 29


async def test_a_search_gmail_does_not_understand_is_told_in_its_words(rig: Any, model: Any) -> None:
    rig.fill(1)
    with pytest.raises(ContractBroken, match="Invalid query"):
        await rig.sync(rig.gmail(query="colour:red"), model)


async def test_secrets_and_mail_stay_out_of_logs_and_errors(rig: Any, model: Any, caplog: Any) -> None:
    caplog.set_level("DEBUG", "hub")
    rig.fill(3, body="canary-body-7731", subject="canary-subject-7731")
    rig.faults.add("poison", fraction=1.0, how="base64")
    gmail = rig.gmail()
    await rig.sync(gmail, model)
    told = [caplog.text]
    for own, body in model.bodies.items():
        with pytest.raises(RecordRejected) as caught:
            list(gmail.to_canonical("messages", RawRecord(own, body)))
        told.append(repr(caught.value))
    assert "canary" not in "".join(told)
    assert "ya29." not in caplog.text
    assert "refresh-" not in caplog.text


async def test_the_token_goes_to_google_and_to_the_base_url_only(rig: Any) -> None:
    gmail = rig.gmail()
    with pytest.raises(ContractBroken, match="refusing to call host"):
        await gmail.http.request("GET", "https://mail.example.org/gmail/v1/users/me/profile")
