"""Clauses about writing to what a tool has already: single fields of a person or an organization, opt-outs, merges (W6)."""

from typing import Any, Literal

from msgspec.structs import replace

from hub.api import Change, Connector, Consent, Entity, JournalEntry, Organization, Person, Transient
from hub.testing.suite_bench import Bench
from hub.testing.suite_driver import Journal

Party = Person | Organization
NOWHERE = "no_such_field"


async def fields(b: Bench) -> None:
    """Exactly the field that is named, once, emptied by a blank, undone; what is gone is not made again."""
    name, value = b.rig.field
    connector = b.connect()
    writable = connector.writable(b.rig.push_kind)
    b.need(name in writable, f"the rig's field {name} is not among the writable ones: {', '.join(sorted(writable))}")
    *_, gone, one = b.rig.populate(6)
    before = await _party(b, connector, one)
    journal, done = Journal(b.clock), list[JournalEntry]()
    for said, what in ((value, "written"), ("", "emptied"), (value, "filled again")):
        b.wait()
        b.fault("drop_answer", every=2)  # every other answer is lost, whatever was asked
        change = replace(_fields(b, one, **{name: said}), key=f"hub-fields-{what}")
        (receipt,) = await journal.push(connector, [change])
        b.rig.restore()
        b.need(receipt.outcome == "updated", f"a field that is {what} ended as {receipt.outcome}: {receipt.error}")
        done.append(JournalEntry(change=change, receipt=receipt))
        now = await _party(b, connector, one)
        b.need(
            now.fields.get(name, "") == said, f"a field that was {what} reads {now.fields.get(name, '')!r} afterwards"
        )
        b.need(_rest(now, name) == _rest(before, name), f"more than the field that was {what} has changed")
        await _quiet(b, connector, change, "unchanged", f"a field that was {what} before")
    await _quiet(b, connector, _fields(b, one, **{NOWHERE: "1"}), "failed", "a field the tool has not", NOWHERE)
    if b.manifest.can_undo:
        await _undone(b, connector, done)
        b.need(
            _rest(await _party(b, connector, one)) == _rest(before), "undo did not bring the fields back as they were"
        )
    b.rig.delete(gone)
    await _quiet(b, connector, _fields(b, gone, **{name: value}), "failed", "a field of a record that is gone", "gone:")


async def opt_outs(b: Bench) -> None:
    """An opt-out arrives, is read again, and stays; nothing else about consent is ever sent."""
    connector = b.connect()
    one = b.rig.populate(6)[-1]
    who = next((i for i in (await _party(b, connector, one)).identifiers if i.scheme == "email"), None)
    if who is None:
        b.need(False, "the rig's newest person has no address to opt out")
        return

    def change(state: Literal["opted_in", "opted_out", "unknown"]) -> Change:
        entity = Consent(
            external_id="c", identifier=who, channel="email", state=state, at=b.clock.now(), evidence="a form"
        )
        return Change(key="hub-consent", kind="consent", op="upsert", entity=entity)

    for state in ("opted_in", "unknown"):
        b.traffic()
        (receipt,) = await connector.push([change(state)])
        b.need(receipt.outcome == "failed", f"a consent of {state} was not refused: {receipt.outcome}")
        b.need(b.traffic() == 0, f"a consent of {state} was sent before it was refused")
    b.wait()
    b.fault("drop_answer", every=2)
    (receipt,) = await Journal(b.clock).push(connector, [change("opted_out")])
    b.rig.restore()
    b.need(receipt.outcome == "updated", f"an opt-out ended as {receipt.outcome}: {receipt.error}")
    await _is_out(b, connector, one, "after it was pushed")
    await _quiet(b, connector, change("opted_out"), "unchanged", "an opt-out that is known")
    if b.manifest.can_undo:
        await _undone(b, connector, [JournalEntry(change=change("opted_out"), receipt=receipt)])
        await _is_out(b, connector, one, "after undo")


async def merges(b: Bench) -> None:
    """Two records are made one, once, though the answer is lost; the receipt names what is left, and no merge is made up."""
    connector = b.connect()
    *_, gone, other, one = b.rig.populate(6)
    there = b.rig.existing()
    known = {i: await _party(b, connector, i) for i in (other, gone)}

    def change(absorbs: str) -> Change:
        return Change(
            key=f"merge/{absorbs}",
            kind=b.rig.push_kind,
            op="merge",
            remote_id=one,
            absorbs=absorbs,
            entity=known[absorbs],
        )

    for method in ("POST", "PUT"):
        b.fault("drop_answer", method=method, times=1)
    await b.refused(connector.push([change(other)]), Transient, "a merge whose answer was lost")
    b.rig.restore()
    state = b.rig.remote_state()
    for what in ("was lost", "is known"):
        (receipt,) = await connector.push([change(other)])
        b.need(receipt.outcome == "merged", f"a merge whose answer {what} ended as {receipt.outcome}: {receipt.error}")
        b.need(b.rig.remote_state() == state, f"a merge whose answer {what} was sent again")
    b.same(b.rig.existing(), (there - {one, other}) | {receipt.remote_id}, "after two records were made one")
    b.rig.delete(gone)
    (receipt,) = await connector.push([change(gone)])
    b.need(receipt.outcome == "failed", f"a merge with a record that is gone ended as {receipt.outcome}")


def _fields(b: Bench, remote_id: str, **named: str) -> Change:
    kind, key = b.rig.push_kind, f"hub-fields-{remote_id}"
    entity: Party = (Organization if kind == "organization" else Person)(external_id=key, fields=named)
    return Change(key=key, kind=kind, op="upsert", entity=entity, remote_id=remote_id)


async def _read(b: Bench, connector: Connector[Any], external_id: str) -> list[Entity]:
    records = await connector.fetch(b.stream, [external_id])
    b.need(len(records) == 1, f"a record that is there was given {len(records)} times")
    return list(connector.to_canonical(b.stream, records[0]))


async def _party(b: Bench, connector: Connector[Any], external_id: str) -> Party:
    return next(e for e in await _read(b, connector, external_id) if isinstance(e, Person | Organization))


def _rest(party: Party, name: str = "") -> tuple[object, ...]:
    """All that a record says of a party but this field; a telephone number is an identifier as well."""
    others = {k: v for k, v in party.fields.items() if k != name}
    return party.name, others, {i for i in party.identifiers if i.scheme != "phone"}, party.owner


async def _quiet(b: Bench, connector: Connector[Any], change: Change, outcome: str, what: str, word: str = "") -> None:
    """The change ends so, with this word in its error, and nothing at the vendor has moved."""
    b.wait()  # a write that changes nothing would still show by its time
    there, state = b.rig.existing(), b.rig.remote_state()
    (receipt,) = await connector.push([change])
    b.need(receipt.outcome == outcome, f"{what}: {receipt.outcome} instead of {outcome} ({receipt.error})")
    b.need(word in receipt.error, f"{what}: the error does not say {word!r} but {receipt.error!r}")
    b.need(b.rig.existing() == there, f"{what}: a record was made")
    b.need(b.rig.remote_state() == state, f"{what}: something was written all the same")


async def _undone(b: Bench, connector: Connector[Any], entries: list[JournalEntry]) -> None:
    for turn in ("first", "second"):
        bad = [r for r in await connector.undo(entries) if r.outcome == "failed"]
        b.need(not bad, f"the {turn} undo of what was there before failed: {bad[0].error if bad else ''}")


async def _is_out(b: Bench, connector: Connector[Any], external_id: str, when: str) -> None:
    said = [e.state for e in await _read(b, connector, external_id) if isinstance(e, Consent)]
    b.need(said == ["opted_out"], f"{when} an opt-out reads {', '.join(said) or 'as nothing'}")
