"""The canonical schema: published, valid, stable under a round trip; errors that say where and never what was secret."""

import json
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from hub.api import (
    SCHEMA_VERSION,
    Attachment,
    Conflict,
    FakeClock,
    HubError,
    Identifier,
    Interaction,
    Manifest,
    Organization,
    Participation,
    Person,
    RateLimited,
    Stream,
    Task,
    Transient,
    json_schema,
)

AT = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
ANA = Identifier("email", "ana@kestrel.example")
EXAMPLES: list[Any] = [
    Interaction(
        external_id="1", kind="message", channel="email", occurred_at=AT, subject="é", text="t", labels=("INBOX",),
        participants=(Participation(identifier=ANA, role="from", name="Ana"),), attachments=(Attachment(external_id="f", size=3),),
    ),
    Interaction(external_id="2", kind="meeting", channel="calendar", all_day=date(2026, 5, 4)),
    Person(external_id="3", identifiers=(ANA,), fields={"city": "Porto"}, organizations=(Identifier("domain", "kestrel.example"),)),
    Organization(external_id="4", name="Kestrel"), Task(external_id="5", title="Call", due_at=AT, owner=ANA),
]  # fmt: skip


def test_the_schema_is_valid_json_schema_and_versioned() -> None:
    schema = json.loads(json.dumps(json_schema()))
    Draft202012Validator.check_schema(schema)
    assert schema["version"] == SCHEMA_VERSION
    assert {"Interaction", "Person", "Organization", "Conversation", "Deal", "Task", "Consent"} <= set(schema["$defs"])


@pytest.mark.parametrize("entity", EXAMPLES, ids=lambda e: f"{type(e).__name__}-{e.external_id}")
def test_entities_fit_the_published_schema_and_survive_the_journey(entity: Any) -> None:
    plain = msgspec.to_builtins(entity)
    schema = json_schema()
    validator = Draft202012Validator({"$ref": f"#/$defs/{type(entity).__name__}", "$defs": schema["$defs"]})
    validator.validate(json.loads(msgspec.json.encode(entity)))
    assert msgspec.convert(plain, type(entity)) == entity
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(entity), type=type(entity)) == entity


def test_what_the_schema_does_not_know_is_refused() -> None:
    validator = Draft202012Validator({"$ref": "#/$defs/Interaction", "$defs": json_schema()["$defs"]})
    assert not validator.is_valid({"external_id": "1", "kind": "telepathy", "channel": "email"})
    assert not validator.is_valid({"kind": "message", "channel": "email"})
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"external_id": "1", "kind": "telepathy", "channel": "email"}, Interaction)


def test_errors_say_where_and_with_what_status() -> None:
    assert str(HubError("no")) == "no"
    assert (
        str(Transient("busy", connector="gmail", stream="messages", external_id="m1", status=503))
        == "gmail/messages/m1: busy (HTTP 503)"
    )
    assert RateLimited("slow", retry_after_s=3).retry_after_s == 3
    assert Conflict("there already", existing_id="7").existing_id == "7"
    assert HubError("a") != HubError("a")  # errors are told apart by identity


def test_a_manifest_names_its_streams() -> None:
    manifest = Manifest("acorn", "Acorn", ("email",), (Stream("mail"), Stream("contacts")))
    assert manifest.stream("mail").name == "mail"
    with pytest.raises(KeyError, match="mail, contacts"):
        manifest.stream("male")


@pytest.mark.anyio
async def test_a_fake_clock_moves_when_told_or_slept_on() -> None:
    clock = FakeClock(AT)
    assert clock.now() == clock.now() == AT
    await clock.sleep(30)
    clock.advance(30)
    assert (clock.now() - AT).total_seconds() == clock.monotonic() == 60
    assert clock.slept == [30]
