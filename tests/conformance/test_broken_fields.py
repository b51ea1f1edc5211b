"""The part of W6 about fields, opt-outs and merges can fail: each of these connectors breaks it the way real ones do."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace as altered

from hub.api import Change, Consent, Gone, Organization, Person, Receipt
from hub.testing import ConnectorSuite
from hub.testing.suite_bench import Bench, Broken
from hub.testing.suite_fields import fields, merges, opt_outs
from hub_zendesk import Zendesk
from hub_zendesk.rig import UsersRig


class NeverEmpties(Zendesk):
    """Takes a blank for nothing said."""

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        return await super().push([with_fields(c, {k: v for k, v in said(c).items() if v}) for c in changes])


class WritesAlong(Zendesk):
    """Takes the occasion to write what it holds for the name."""

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        for c in changes:
            await self.http.request("PUT", f"api/v2/users/{c.remote_id}", json={"user": {"name": "Ada"}}, safe=True)
        return await super().push(changes)


class WritesAgain(Zendesk):
    """Writes what is there already, and says it did not."""

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        receipts = await super().push(changes)
        for c, r in zip(changes, receipts, strict=True):
            if r.outcome == "unchanged":
                body = {"user": {"phone": said(c).get("phone")}}
                await self.http.request("PUT", f"api/v2/users/{c.remote_id}", json=body, safe=True)
        return receipts


class PassesOver(Zendesk):
    """Leaves out a field it does not know, without a word."""

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        known = self.writable("person")
        return await super().push([with_fields(c, {k: v for k, v in said(c).items() if k in known}) for c in changes])


class ForgetsWhatWas(Zendesk):
    """Keeps no before-image, and calls that undone."""

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        return [altered(r, before=None) for r in await super().push(changes)]


class MakesAgain(Zendesk):
    """Takes somebody who is gone for somebody new."""

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        receipts = await super().push(changes)
        for c, r in zip(changes, receipts, strict=True):
            if "gone" in r.error:
                body = {"user": {"name": "Ada", "external_id": f"ihub:{c.key}"}}
                await self.http.request("POST", "api/v2/users/create_or_update", json=body, safe=True)
        return receipts


class SaysItDid(Zendesk):
    """Has no place for an opt-out and reports one."""

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        is_out = [isinstance(c.entity, Consent) and c.entity.state == "opted_out" for c in changes]
        return [Receipt(key=c.key, outcome="updated" if o else "failed") for c, o in zip(changes, is_out, strict=True)]


class LooksFirst(Zendesk):
    """Asks the vendor before it refuses to subscribe somebody."""

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        await self.client.get("users/me")
        return [Receipt(key=c.key, outcome="failed") for c in changes]


class Subscribes(Zendesk):
    """Carries out whatever it is told."""

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        return [Receipt(key=c.key, outcome="updated") for c in changes]


class NeverLooks(Zendesk):
    """Sends a merge without a look at what became of the one before."""

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        found = []
        for c in changes:
            outcome, body = "merged", {"user": {"id": int(c.remote_id)}}
            try:
                await self.http.request("PUT", f"api/v2/users/{c.absorbs}/merge", json=body, safe=False)
            except Gone:
                outcome = "failed"
            found.append(Receipt(key=c.key, outcome=outcome, remote_id=c.remote_id))  # type: ignore[arg-type]
        return found


class TakesGoneForMerged(Zendesk):
    """Believes that whoever is gone went where it was told."""

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        receipts = await super().push(changes)
        return [altered(r, outcome="merged") if "nothing says" in r.error else r for r in receipts]


def said(change: Change) -> dict[str, str]:
    return change.entity.fields if isinstance(change.entity, Person | Organization) else {}


def with_fields(change: Change, named: dict[str, str]) -> Change:
    assert isinstance(change.entity, Person)
    return altered(change, entity=altered(change.entity, fields=named))


def finding(connector: type[Zendesk], part: Callable[[Bench], Awaitable[None]]) -> str:
    """What this part of the clause finds wrong with a connector, "" for nothing."""

    class Users(ConnectorSuite):
        rig = UsersRig

    Users.connector = connector

    async def run(bench: Bench) -> None:
        try:
            await part(bench)
        finally:
            await bench.close()

    with Users._stand() as bench:
        try:
            asyncio.run(run(bench))
        except Broken as exc:
            return str(exc)
    return ""


@pytest.mark.parametrize(
    ("connector", "part", "words"),
    [
        (NeverEmpties, fields, "a field that is emptied ended as unchanged"),
        (WritesAlong, fields, "more than the field that was written has changed"),
        (WritesAgain, fields, "something was written all the same"),
        (PassesOver, fields, "a field the tool has not: unchanged instead of failed"),
        (ForgetsWhatWas, fields, "undo did not bring the fields back"),
        (MakesAgain, fields, "a record that is gone: a record was made"),
        (SaysItDid, opt_outs, "after it was pushed an opt-out reads as nothing"),
        (LooksFirst, opt_outs, "was sent before it was refused"),
        (Subscribes, opt_outs, "a consent of opted_in was not refused"),
        (NeverLooks, merges, "a merge whose answer was lost ended as failed"),
        (TakesGoneForMerged, merges, "a merge with a record that is gone ended as merged"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_broken_connector_is_found_out(connector: type[Zendesk], part: Any, words: str) -> None:
    assert words in finding(connector, part)


def test_zendesk_itself_keeps_it() -> None:
    assert finding(Zendesk, fields) == ""
    assert finding(Zendesk, merges) == ""
