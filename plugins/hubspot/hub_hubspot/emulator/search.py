"""CRM search: an index of its own that lags behind, is capped at 10,000 rows and knows no archived objects."""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Any

from hub.testing import FaultBoard
from hub_hubspot.emulator.answers import Answer, Call, invalid, listed
from hub_hubspot.emulator.catalog import NOT_FILTERABLE
from hub_hubspot.emulator.portal import Portal, Record, Shelf
from hub_hubspot.emulator.rows import Faults, Rows
from hub_hubspot.emulator.tables import BY_NAME
from hub_hubspot.emulator.values import epoch_ms

CAP = 10_000
MAX_LIMIT = 200
MAX_BODY_CHARS = 3_000
MAX_GROUPS, MAX_FILTERS, MAX_ALL_FILTERS = 5, 6, 18

Test = Callable[[Record, dict[str, str]], bool]
_NO_VALUE = frozenset({"HAS_PROPERTY", "NOT_HAS_PROPERTY"})
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "EQ": lambda a, b: a == b, "LT": lambda a, b: a < b, "LTE": lambda a, b: a <= b,
    "GT": lambda a, b: a > b, "GTE": lambda a, b: a >= b,
}  # fmt: skip
OPERATORS = frozenset({*_ORDER, *_NO_VALUE, "NEQ", "BETWEEN", "IN", "NOT_IN", "CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"})


def search(portal: Portal, shelf: Shelf, faults: Faults, board: FaultBoard, call: Call) -> Answer:
    """Answers `POST .../search`."""
    if len(call.raw.decode("utf-8", "replace")) > MAX_BODY_CHARS:
        raise invalid(f"The request body must not exceed {MAX_BODY_CHARS} characters")
    body = call.json()
    limit, offset = _page(body)
    groups = _groups(body)
    tests = [[_test(portal, shelf, f) for f in group] for group in groups]
    order = _sort(shelf, body)
    words = str(body.get("query") or "").lower()
    found = []
    for record in _candidates(portal, shelf, groups):
        seen = _indexed(portal, record)
        if seen is None or not faults.shows(record.id):
            continue
        if tests and not any(all(test(record, seen) for test in group) for group in tests):
            continue
        if words and not any(words in seen.get(name, "").lower() for name in shelf.kind.words):
            continue
        found.append((record, seen))
    found.sort(key=order[0], reverse=order[1])
    rows = Rows(portal, shelf, faults, [str(p) for p in listed(body, "properties")])
    page = [rows.row(_as_indexed(shelf, record, seen)) for record, seen in found[offset : offset + limit]]
    answer: dict[str, Any] = {"total": len(found), "results": page}
    if offset + limit < len(found):
        is_looped = offset and board.hits("page_loop", call.path, call.method)
        answer["paging"] = {"next": {"after": str(offset if is_looped else offset + limit)}}
    return Answer(200, answer)


def _page(body: dict[str, Any]) -> tuple[int, int]:
    limit = body.get("limit", 10)
    if not isinstance(limit, int) or not 1 <= limit <= MAX_LIMIT:
        raise invalid(f"The limit must be between 1 and {MAX_LIMIT}")
    after = str(body.get("after") or 0)
    if not after.isdecimal():
        raise invalid(f"Invalid after: {after}")
    if int(after) + limit > CAP:
        raise invalid(f"Paging past {CAP} results is not possible: after {after} with limit {limit}")
    return limit, int(after)


def _groups(body: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The filter groups; a bare `filters` array counts as one group."""
    groups = [listed(g, "filters") for g in listed(body, "filterGroups") if isinstance(g, dict)]
    groups = groups or [listed(body, "filters")]
    if len(groups) > MAX_GROUPS:
        raise invalid(f"At most {MAX_GROUPS} filter groups are allowed")
    if any(len(g) > MAX_FILTERS for g in groups) or sum(map(len, groups)) > MAX_ALL_FILTERS:
        raise invalid(f"At most {MAX_FILTERS} filters per group and {MAX_ALL_FILTERS} in all are allowed")
    return [g for g in groups if g]


def _sort(shelf: Shelf, body: dict[str, Any]) -> tuple[Callable[[tuple[Record, dict[str, str]]], Any], bool]:
    """(key, is descending). Without a sort: oldest first."""
    sorts = listed(body, "sorts")
    if len(sorts) > 1:
        raise invalid("Only one sort is allowed")
    if not sorts:
        return (lambda pair: (pair[0].created_at, pair[0].id)), False
    rule = sorts[0]
    if isinstance(rule, dict):
        name, is_descending = str(rule.get("propertyName", "")), rule.get("direction") == "DESCENDING"
    else:
        name, is_descending = str(rule).lstrip("-"), str(rule).startswith("-")
    if name not in shelf.properties:
        raise _unknown(name)
    if name == "hs_object_id":
        return (lambda pair: pair[0].id), is_descending
    read = _reader(shelf, name)

    def key(pair: tuple[Record, dict[str, str]]) -> Any:
        value = read(pair[1].get(name, ""))
        return (value is not None, value if value is not None else 0, pair[0].id)

    return key, is_descending


def _test(portal: Portal, shelf: Shelf, rule: Any) -> Test:
    """One filter as a function of a record and its indexed properties. Raises Refusal 400."""
    if not isinstance(rule, dict) or not rule.get("propertyName"):
        raise invalid("A filter needs a propertyName")
    name, operator = str(rule["propertyName"]), str(rule.get("operator") or "EQ")
    if operator not in OPERATORS:
        raise invalid(f"Invalid operator: {operator}")
    if name.startswith("associations."):
        return _association_test(portal, shelf, name.removeprefix("associations."), operator, rule)
    if name not in shelf.properties:
        raise _unknown(name)
    if name in NOT_FILTERABLE:
        raise invalid(f"Property {name} is not filterable", "PROPERTY_NOT_FILTERABLE", {"propertyName": [name]})
    if operator == "HAS_PROPERTY":
        return lambda record, seen: name in seen
    if operator == "NOT_HAS_PROPERTY":
        return lambda record, seen: name not in seen
    if operator in {"IN", "NOT_IN"}:
        return _in_test(shelf, name, operator == "IN", _values(rule))
    value = rule.get("value")
    if value is None or isinstance(value, (dict, list)):
        raise invalid(f"The filter on {name} needs a value")
    if operator.endswith("CONTAINS_TOKEN"):
        pattern = _token(str(value))
        return lambda record, seen: bool(pattern.search(seen.get(name, ""))) == (operator == "CONTAINS_TOKEN")
    read = _reader(shelf, name)
    bound = _bound(name, read, value)
    if operator == "BETWEEN":
        top = _bound(name, read, rule.get("highValue"))
        return lambda record, seen: (v := read(seen.get(name, ""))) is not None and bound <= v <= top
    if operator == "NEQ":
        return lambda record, seen: name in seen and read(seen[name]) != bound
    compare = _ORDER[operator]
    return lambda record, seen: (v := read(seen.get(name, ""))) is not None and compare(v, bound)


def _in_test(shelf: Shelf, name: str, is_in: bool, wanted: set[str]) -> Test:
    """Text is held in lower case for these two operators: values must be sent so. Enumerations are exact."""
    is_exact = shelf.properties[name].type != "string"
    return lambda record, seen: name in seen and ((seen[name] if is_exact else seen[name].lower()) in wanted) == is_in


def _association_test(portal: Portal, shelf: Shelf, target: str, operator: str, rule: dict[str, Any]) -> Test:
    kind = BY_NAME.get(target)
    if kind is None or operator not in {"EQ", "IN"}:
        raise invalid(f"associations.{target} cannot be filtered with {operator}")
    wanted = {int(v) for v in (_values(rule) if operator == "IN" else {str(rule.get("value"))}) if v.isdecimal()}
    source = shelf.kind.plural
    return lambda record, seen: not wanted.isdisjoint(portal.linked(source, record.id, kind.plural))


def _values(rule: dict[str, Any]) -> set[str]:
    found = rule.get("values")
    if not isinstance(found, list) or not found:
        raise invalid(f"The filter on {rule['propertyName']} needs values")
    return {str(v) for v in found}


def _reader(shelf: Shelf, name: str) -> Callable[[str], Any]:
    """How values of a property are compared: times as epoch ms, numbers as numbers, text without case."""
    kind = shelf.properties[name].type
    if kind in {"datetime", "date"}:
        return lambda text: epoch_ms(text) if text else None
    if kind == "number":
        return _number
    if kind == "enumeration":
        return lambda text: text or None
    return lambda text: text.lower() or None


def _number(text: str) -> float | int | None:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


def _bound(name: str, read: Callable[[str], Any], value: Any) -> Any:
    bound = None if value is None else read(str(value))
    if bound is None:
        raise invalid(f"Invalid value {value!r} in the filter on {name}")
    return bound


def _token(text: str) -> re.Pattern[str]:
    """Whole words, case ignored; `*` stands for any characters of a word."""
    body = re.escape(text.strip()).replace(r"\*", r"[^\s@]*")
    return re.compile(rf"(?<!\w){body}(?!\w)", re.IGNORECASE)


def _unknown(name: str) -> Exception:
    return invalid(f"Property {name} does not exist", "PROPERTY_DOESNT_EXIST", {"propertyName": [name]})


def _indexed(portal: Portal, record: Record) -> dict[str, str] | None:
    """The properties search knows of: those written before the lag; None for an object it does not know yet."""
    if record.archived_at:
        return None
    if not portal.lag_ms or not record.versions:
        return record.properties
    horizon = portal.now_ms() - portal.lag_ms
    while len(record.versions) > 1 and record.versions[1][0] <= horizon:
        del record.versions[0]
    at, seen = record.versions[0]
    return seen if at <= horizon else None


def _as_indexed(shelf: Shelf, record: Record, seen: dict[str, str]) -> Record:
    """The record as search shows it, which may be older than it is."""
    if seen is record.properties:
        return record
    old = Record(record.id, record.created_at)
    old.properties, old.updated_at = seen, seen[shelf.kind.modified]
    return old


def _candidates(portal: Portal, shelf: Shelf, groups: list[list[dict[str, Any]]]) -> Iterable[Record]:
    """The records worth testing: a lower bound on the last-modified time or the id saves walking over all."""
    records = shelf.records
    if len(groups) == 1 and not portal.lag_ms:
        for rule in groups[0]:
            name, operator, value = rule.get("propertyName"), rule.get("operator"), str(rule.get("value"))
            if operator == "EQ" and name in shelf.unique and name != "email":
                holder = shelf.get(shelf.unique[str(name)].get(value))
                if holder:
                    return [holder]
            if operator not in {"GT", "GTE", "BETWEEN", "EQ"}:
                continue
            if name == shelf.kind.modified and (low := epoch_ms(value)) is not None:
                start = bisect_left(shelf.changes, (low, 0))
                recent = dict.fromkeys(shelf.changes[start:])  # two writes in one ms leave two equal entries
                if len(recent) < len(shelf.live):
                    return [r for at, i in recent if (r := records.get(i)) and r.updated_ms == at and not r.archived_at]
            elif name == "hs_object_id" and value.isdecimal():
                return [records[i] for i in shelf.live[bisect_left(shelf.live, int(value)) :]]
    return [records[i] for i in shelf.live]
