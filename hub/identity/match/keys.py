"""Keys under which records are found that may be the same: strong values alone, weak ones two at a time."""

from collections.abc import Iterable, Iterator

from hub.identity.match.fields import name_parts
from hub.identity.match.names import GENERATIONS
from hub.identity.match.record import Record
from hub.identity.match.strings import sound

# Two weak values of one matter (birth, place, work) are no two grounds.
_MATTER = {"d": "born", "D": "born", "y": "born", "c": "place", "p": "place", "a": "place", "o": "work", "j": "job"}
_ALONE = {"e": "email", "t": "phone", "n": "number", "b": "born", "p": "postcode", "a": "address"}


def of(record: Record) -> list[str]:
    """All keys of a record, sorted, without doubles. People and organizations never share one."""
    kind = "" if record.kind == "person" else f"{record.kind} "
    return sorted({kind + key for key in _keys(record)})


def alone(record: Record) -> Iterator[tuple[str, str, str]]:
    """(part, value, key) of the values that are keys by themselves."""
    kind = "" if record.kind == "person" else f"{record.kind} "
    for short, name in _ALONE.items():
        yield from ((name, v, f"{kind}{short}:{v}") for v in record.fields.get(name, ()))


def _keys(record: Record) -> Iterator[str]:
    get = record.fields.get
    for short, name in _ALONE.items():
        for value in get(name, ()):
            yield f"{short}:{value}"
    for value in get("phone", ()):
        if len(value) >= 8:
            yield f"T:{value[-8:]}"
    for handle in get("handle", ()):
        given, _, family = handle.partition(" ")
        yield f"h:{given}{family}"
        if family:
            yield f"h:{given[0]}{family}"
    sounds = []
    for name in get("name", ()):
        given, middle, family = name_parts(name)
        sounds += [sound(w) for w in (given, *middle, family) if len(w) > 1 and w not in GENERATIONS]
        if given and family:
            yield "nn:" + " ".join(sorted((given, family)))
            yield "ss:" + " ".join(sorted((sound(given), sound(family))))
    weak = list(_weak(record))
    for i, first in enumerate(weak):
        for heard in sounds:
            yield f"{heard}&{first}"
        for other in weak[i + 1 :]:
            if _MATTER[other[0]] != _MATTER[first[0]]:
                yield f"{first}&{other}"
    for name in get("company", ()):
        words = sorted(name.split(), key=lambda w: (-len(w), w))[:4]
        yield from (f"w:{w}" for w in words)
        yield f"j:{name.replace(' ', '')[:6]}"


def _weak(record: Record) -> Iterable[str]:
    get = record.fields.get
    for day in get("born", ()):
        yield f"d{day[:6]}"
        yield f"D{day[4:]}"
        yield f"y{day[:4]}{day[6:]}"
    for city in get("city", ()):
        yield f"c{sound(city)}"
    for code in get("postcode", ()):
        yield f"p{code[:3]}"
    for street in get("address", ()):
        yield f"a{' '.join(street.split()[:2])}"
    for name in get("employer", ()):
        yield f"o{name[:8]}"
    for name in get("occupation", ()):
        yield f"j{name}"
