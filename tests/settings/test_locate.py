"""The key locator agrees with the standard parser about what is there, and points at it."""

import tomllib
from typing import Any

import pytest

from hub.cli.template import HUB_TOML
from hub.settings.locate import KeyPath, locate

TRICKY = r'''
# comment with = and [brackets]
title = "a # b \" c" # after
'quoted key' = 'C:\path\'
"with \u00e9 and \"" = """
[not a table]
x = "\"" ''' + "''''" + r''' """
lit = ''' + "'''" + r'''
it's [here]
''' + "'''" + r'''
empty = {}
none = []
when = 2026-11-21 12:00:00Z
day = 2026-11-21
a . b . c = 1
nested = [ [1, 2], # one
  ["x,y]", { k = "}", deep = [ { z = true } ] }],
]
inline = { a.b = 1, "c d" = [1], e = { f = inf } }

[ table . "sub.table" ]
x = 1
  [indented]
  y = 0x1f if_not = 0
'''.replace(" if_not = 0", "") + '''
[[items]]
n = 1
[items.inner]
m = 1
[[items]]
[[items.more]]
k = 1
[[items.more]]
k = 2
'''  # fmt: skip


def paths(value: Any, at: KeyPath = ()) -> set[KeyPath]:
    found = {at} if at else set()
    if isinstance(value, dict):
        return found.union(*(paths(v, (*at, k)) for k, v in value.items()))
    if isinstance(value, list):
        return found.union(*(paths(v, (*at, i)) for i, v in enumerate(value)))
    return found


@pytest.mark.parametrize("text", [TRICKY, TRICKY.replace("\n", "\r\n"), HUB_TOML, "", "a=1", "\n\n[x]"])
def test_every_key_has_a_place(text: str) -> None:
    assert set(locate(text)) == paths(tomllib.loads(text))


def test_places_point_at_key_and_value() -> None:
    text = '[own]\n  domains = ["a.example",\n    "b.example"]\nü = 1\n'.replace("ü", '"ü"')
    lines = text.splitlines()
    places = locate(text)

    def at(line: int, column: int) -> str:
        return lines[line - 1][column - 1 :]

    domains, second = places["own", "domains"], places["own", "domains", 1]
    assert at(domains.line, domains.column).startswith("domains = ")
    assert at(domains.value_line, domains.value_column).startswith('["a.example"')
    assert at(second.line, second.column) == '"b.example"]'
    assert at(places["own",].line, places["own",].column) == "[own]"
    assert at(places["own", "ü"].value_line, places["own", "ü"].value_column) == "1"


def test_long_files_are_no_trouble() -> None:
    text = "".join(f'[connections.c{i}]\nconnector = "x"\nstreams = ["a", "b"]\n' for i in range(2000))
    assert locate(text)["connections", "c1999", "streams", 1].line == 6000
