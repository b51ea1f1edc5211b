"""What can be told: event types, patterns that choose among them, and the ids under which things are told of."""

from collections.abc import Iterable

from hub.api import ConfigError

_RESOURCES = {  # resource -> (what may become of it, the group of marks that tells of it)
    "contact": (("created", "updated", "deleted"), "party"),
    "organization": (("created", "updated", "deleted"), "party"),
    "deal": (("created", "updated", "deleted"), "item"),
    "service": (("created", "updated", "deleted"), "item"),
    "task": (("created", "updated", "deleted"), "item"),
    "interaction": (("created", "updated", "deleted"), "interaction"),
    "conversation": (("created", "updated", "deleted"), "conversation"),
    "consent": (("created", "updated", "deleted"), "consent"),
    "identity": (("merged", "split"), "identity"),
    "issue": (("created", "updated"), "issue"),
}
ITEMS = ("deal", "service", "task")
PARTIES = {"person": "contact", "organization": "organization"}
TEST = "hub.test.v1"
MEANING = {
    "created": "is there, or is there again", "updated": "differs; `changed` names what", "deleted": "is there no more",
    "merged": "`from` is `into` from now on", "split": "part of `from` is `into` from now on",
}  # fmt: skip


def type_of(resource: str, action: str) -> str:
    return f"hub.{resource}.{action}.v1"


TYPES = tuple(type_of(resource, action) for resource, (actions, _) in _RESOURCES.items() for action in actions)


def patterns(wanted: Iterable[str]) -> tuple[str, ...]:
    """Patterns as they are kept: resource.action, "*" for any; "" and "hub.<...>.v1" are understood too.

    Raises ConfigError for one that chooses nothing.
    """
    found = []
    for text in wanted:
        bare = text.strip().lower().removeprefix("hub.").removesuffix(".v1")
        shaped = "*.*" if bare == "*" else bare if "." in bare else f"{bare}.*"
        if not any(matches((shaped,), name) for name in TYPES):
            from difflib import get_close_matches

            known = [name.removeprefix("hub.").removesuffix(".v1") for name in TYPES]
            near = get_close_matches(bare, [*known, *_RESOURCES], 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(_RESOURCES)}"
            raise ConfigError(f"no event is called {text!r}; {hint} A star stands for any: contact.*, *.deleted")
        found.append(shaped)
    if not found:
        raise ConfigError("name the events to be told of: contact.*, *.deleted, or * for all")
    return tuple(dict.fromkeys(found))


def matches(wanted: Iterable[str], name: str) -> bool:
    """Whether one of the patterns chooses this type."""
    _, resource, action, _ = name.split(".")
    return any(of in ("*", resource) and what in ("*", action) for of, _, what in (p.partition(".") for p in wanted))


def groups(wanted: Iterable[str]) -> set[str]:
    """Groups of marks (`hub.store.marks`) that these patterns need."""
    given = tuple(wanted)
    return {
        group for resource, (actions, group) in _RESOURCES.items()
        if any(matches(given, type_of(resource, action)) for action in actions)
    }  # fmt: skip


# Ids of what has no public id of its own: good in this installation, and found again by their number.


def item_id(record_id: int) -> str:
    return f"itm_{record_id}"


def conversation_id(number: int) -> str:
    return f"cnv_{number}"


def issue_id(number: int) -> str:
    return f"iss_{number}"
