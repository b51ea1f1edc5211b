"""The clause about privacy (W12): what may not be stored can be told from the mapped record, and is nowhere else."""

from collections.abc import Iterable

from hub.api import (
    Entity,
    HubError,
    Identifier,
    Interaction,
    Organization,
    PermissionMatrix,
    Person,
    RawRecord,
    RecordRejected,
)
from hub.testing.suite_bench import Bench
from hub.testing.suite_driver import Landed

CANARY = "Zeisig-7731-canary"
DOMAIN = "secret-adviser.example"
PRIVATE = "private"


async def privacy(b: Bench) -> None:
    """W12."""
    b.rig.populate(10)
    hidden = set(b.rig.private(CANARY, DOMAIN))
    b.need(hidden, "the rig made no private records")
    kept = Landed(b.stream)
    told: list[str] = []
    with b.overheard() as heard:
        connector = b.connect()
        names = _names(await connector.check())
        landed = Landed(b.stream)
        await landed.pull(connector)
        for external_id, body in landed.bodies.items():
            try:
                entities = list(connector.to_canonical(b.stream, RawRecord(external_id, body)))
            except RecordRejected as exc:
                told.append(f"{exc!r} {exc}")
                continue
            if not any(_is_private(e, names) for e in entities):
                kept.bodies[external_id] = body
        told += await _broken(b, sorted(hidden))
    b.same(set(kept.bodies) & hidden, set(), "private records that no policy could tell from the rest")
    b.same(set(kept.bodies), b.rig.existing() - hidden, "records beside private ones")
    leaks = [i for i, body in kept.bodies.items() if CANARY.encode() in body]
    b.need(not leaks, f"{len(leaks)} records that may be kept hold text of private ones")
    b.need(not any(CANARY in line for line in heard), f"a log line holds private text: {_first(heard, CANARY)}")
    b.need(not any(CANARY in line for line in told), "an error text holds private text")
    for secret in b.secrets():
        b.need(not any(secret in line for line in (*heard, *told)), "a secret is in a log line or an error text")
        b.need(secret not in repr(connector.settings), "a secret shows in repr(settings): make it a SecretStr")


async def _broken(b: Bench, hidden: list[str]) -> list[str]:
    """What is said about private records that cannot be understood."""
    told = []
    for external_id in hidden:
        b.rig.poison(external_id)
    connector, landed = b.connect(), Landed(b.stream)
    try:
        await landed.pull(connector)
    except HubError as exc:
        told.append(f"{exc!r} {exc}")
    for external_id, body in landed.bodies.items():
        try:
            list(connector.to_canonical(b.stream, RawRecord(external_id, body)))
        except Exception as exc:  # whatever it is (W11 judges that), its text must not tell
            told.append(f"{exc!r} {exc}")
    b.rig.restore()
    return [*told, *landed.gaps.values()]


def _first(lines: Iterable[str], text: str) -> str:
    return next((line[:60].replace(text, "...") for line in lines if text in line), "")


def _names(matrix: PermissionMatrix) -> dict[str, str]:
    """Label id -> name, as `check` reports them for tools whose records carry ids ("label:<id>=<name>")."""
    pairs = (c.removeprefix("label:").partition("=") for c in matrix.capabilities if c.startswith("label:"))
    return {label: name for label, _, name in pairs}


def _is_private(entity: Entity, names: dict[str, str]) -> bool:
    """The part of the hub's capture policy a connector must make possible."""
    handles: list[Identifier] = []
    if isinstance(entity, Interaction):
        labels = {names.get(label, label).lower() for label in entity.labels}
        if PRIVATE in labels or PRIVATE in entity.signals:
            return True
        handles = [p.identifier for p in entity.participants]
    elif isinstance(entity, Person | Organization):
        handles = list(entity.identifiers)
    return any(h.value.lower() == DOMAIN or h.value.lower().endswith(f"@{DOMAIN}") for h in handles)
