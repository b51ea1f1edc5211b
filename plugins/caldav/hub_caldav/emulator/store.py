"""What a CalDAV server holds: calendars, the objects in them, and a log of what changed."""

import hashlib
import re
from dataclasses import dataclass, field

CAL = "VEVENT"
_FOLD = re.compile(r"\r?\n[ \t]")


@dataclass
class Object:
    """One calendar object resource. text: iCalendar with CRLF. etag: without quotes, by content."""

    name: str
    text: str
    etag: str


@dataclass
class Calendar:
    """One collection. log: (revision, name) of every change, newest last; an entry whose name is gone is a deletion."""

    name: str
    title: str
    components: tuple[str, ...] = ("VEVENT",)
    privileges: tuple[str, ...] = ("read", "write", "write-content", "bind", "unbind")
    zone: str = "UTC"
    objects: dict[str, Object] = field(default_factory=dict)
    log: list[tuple[int, str]] = field(default_factory=list)
    revision: int = 0
    forgotten: int = -1  # tokens up to this revision are no longer known

    def put(self, name: str, text: str) -> Object:
        """Store an object; nothing moves when it is there in the same words already."""
        etag = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        held = self.objects.get(name)
        if held is not None and held.etag == etag:
            return held
        made = self.objects[name] = Object(name, text, etag)
        self.note(name)
        return made

    def remove(self, name: str) -> None:
        del self.objects[name]
        self.note(name)

    def note(self, name: str) -> None:
        self.revision += 1
        self.log.append((self.revision, name))

    def since(self, revision: int) -> list[tuple[int, str]]:
        """Each name changed after `revision` once, with its last revision, oldest first."""
        last = {name: number for number, name in self.log if number > revision}
        return sorted((number, name) for name, number in last.items())


def crlf(text: str) -> str:
    return text.replace("\r\n", "\n").strip("\n").replace("\n", "\r\n") + "\r\n"


def uid_of(text: str) -> str:
    """The UID of the first event or to-do in it; "" when there is none."""
    component = re.search(r"BEGIN:V(EVENT|TODO|JOURNAL).*", text, re.DOTALL)
    found = re.search(r"^UID[^:\n]*:(.*)$", _FOLD.sub("", component[0] if component else ""), re.MULTILINE)
    return found[1].strip() if found else ""


def split(text: str) -> dict[str, str]:
    """A file of many events, as a feed or an export gives it: one object per UID, with all zones of the file."""
    lines = text.replace("\r\n", "\n").split("\n")
    head: list[str] = []
    zones: list[str] = []
    events: dict[str, list[str]] = {}
    part: list[str] = []
    depth = 0
    for line in lines:
        begins, ends = line.upper().startswith("BEGIN:"), line.upper().startswith("END:")
        depth += begins
        if depth >= 2:
            part.append(line)
        elif line and not begins and not ends:
            head.append(line)
        depth -= ends
        if ends and depth == 1 and part:
            block = "\n".join(part)
            if part[0].upper().startswith("BEGIN:VTIMEZONE"):
                zones.append(block)
            elif uid := uid_of(block):
                events.setdefault(uid, []).append(block)
            part = []
    return {
        uid: crlf("\n".join(["BEGIN:VCALENDAR", *head, *zones, *blocks, "END:VCALENDAR"]))
        for uid, blocks in events.items()
    }
