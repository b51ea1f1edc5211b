"""Reads the conversations in `hub/demo/scripts/*.txt`, written as text so that they read and change easily.

    === kind name [organization] [@days]: Subject
    --- role [> role,role] [delay] [cc=role,role] [pdf=Name] [csv=name] [from=alias]
                    [at=09:20] [back=2] [after=50m]
    Text in paragraphs. [one way|another way] picks one; {site} and the like are filled in.

`@days`: working days before the window's end when the thread starts. delay: minutes, hours or working days
("40m", "3h", "2d") after the turn before, two hours when absent. `at`: clock time on that day; `back`: working
days before the end; `after`: time after the window's end. Without `> role` a turn answers everybody on the mail
before. `from=alias`: written from an alias, as own people also do by chance.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.resources import files
from random import Random

_CHOICE = re.compile(r"\[([^\]]*\|[^\]]*)\]")


@dataclass(frozen=True, slots=True)
class Turn:
    """One mail. delay: time after the turn before, or None; working_days: delay in working days."""

    role: str
    to: tuple[str, ...]
    delay: timedelta
    working_days: int
    options: Mapping[str, str]
    paragraphs: tuple[str, ...]

    def roles(self, option: str) -> tuple[str, ...]:
        value = self.options.get(option, "")
        return tuple(value.split(",")) if value else ()


@dataclass(frozen=True, slots=True)
class Script:
    """A conversation. organization and starts_back are "" and 0 where any customer and day will do."""

    kind: str
    name: str
    organization: str
    starts_back: int
    subject: str
    turns: tuple[Turn, ...]


def chance(*words: object) -> Random:
    """A source of chance that depends on these words only, the same on every Python version."""
    return Random(" ".join(map(str, words)))  # noqa: S311 - made-up mail needs repetition, not secrecy


def span(text: str) -> timedelta:
    """ "40m", "3h" as a timedelta."""
    return timedelta(minutes=int(text[:-1])) if text.endswith("m") else timedelta(hours=int(text[:-1]))


@cache
def load(name: str) -> tuple[Script, ...]:
    """All conversations of one file, in its order. Raises ValueError naming the line that cannot be read."""
    text = files("hub.demo").joinpath("scripts", f"{name}.txt").read_text(encoding="utf-8")
    scripts = []
    for block in re.split(r"^=== ", text, flags=re.MULTILINE)[1:]:
        title, _, rest = block.partition("\n")
        words, _, subject = title.partition(": ")
        kind, script, *extra = words.split()
        start = next((int(w[1:]) for w in extra if w.startswith("@")), 0)
        organization = next((w for w in extra if not w.startswith("@")), "halden" if kind == "hero" else "")
        turns = tuple(_turn(t) for t in re.split(r"^--- ", rest, flags=re.MULTILINE)[1:])
        if not subject or not turns:
            raise ValueError(f"{name}.txt: a conversation needs a subject and turns: {title!r}")
        scripts.append(Script(kind, script, organization, start, subject, turns))
    return tuple(scripts)


def _turn(block: str) -> Turn:
    line, _, text = block.partition("\n")
    words = line.split()
    to: tuple[str, ...] = ()
    if len(words) > 2 and words[1] == ">":
        to = tuple(words[2].split(","))
        del words[1:3]
    options = dict(w.split("=", 1) for w in words[1:] if "=" in w)
    delays = [w for w in words[1:] if "=" not in w] or ["2h"]
    if not re.fullmatch(r"\d+[mhd]", delays[0]):
        raise ValueError(f"unreadable delay in {line!r}")
    days = int(delays[0][:-1]) if delays[0].endswith("d") else 0
    paragraphs = tuple(" ".join(p.split()) for p in re.split(r"\n\s*\n", text) if p.strip())
    return Turn(words[0], to, timedelta() if days else span(delays[0]), days, options, paragraphs)


def fill(text: str, values: Mapping[str, str], rng: Random) -> str:
    """Pick one of each `[a|b]`, then put the values in; a name without a value is a KeyError."""
    chosen = _CHOICE.sub(lambda m: rng.choice(m.group(1).split("|")), text)
    return chosen.format_map(values) if "{" in chosen else chosen
