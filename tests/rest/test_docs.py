"""docs/rest.md has every route as the app describes it: made by this test with HUB_WRITE_DOCS=1, and compared without."""

import os
import re
from itertools import groupby
from pathlib import Path
from typing import Any

from callers import API, ROUTES, Site
from databases import on_sqlite

from hub.rest.described import TITLES
from hub.rest.guard import MOST_BYTES

DOCS = Path(__file__).parents[2] / "docs" / "rest.md"
BEGIN, END = "<!-- routes: made by tests/rest/test_docs.py -->\n", "<!-- end of routes -->\n"


def reference(document: dict[str, Any]) -> str:
    """A table for each tag: how it is asked, with what, what it needs, what it does."""
    rows = [(of["tags"][0], path, method, of) for path, ops in document["paths"].items() for method, of in ops.items()]
    lines = []
    for tag, group in groupby(rows, key=lambda row: row[0]):
        lines += [f"\n### {tag}\n", "| asked | with | needs | answer |", "|---|---|---|---|"]
        for _, path, method, of in group:
            short = path.removeprefix(API)
            needs = ROUTES.get((method.upper(), short), ("", "", None))[0]
            permission = f"`{needs}`" if needs else "nothing"
            said = re.sub(r"\s+", " ", of["description"]).replace("|", "\\|")
            lines.append(f"| `{method.upper()} {short}` | {_with(of, document)} | {permission} | {said} |")
    return "\n".join(lines) + "\n\n"


def _with(of: dict[str, Any], document: dict[str, Any]) -> str:
    """Parameters and fields; those that must be there in bold."""
    given = [p for p in of.get("parameters", []) if p["in"] == "query"]
    found = [(p["name"], p.get("required", False)) for p in given]
    body = of.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    for schema in body.get("oneOf", [body])[:1]:
        model = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], {})
        found += [(name, name in model.get("required", ())) for name in model.get("properties", {})]
    told = [f"**`{name}`**" if is_needed else f"`{name}`" for name, is_needed in found]
    if any(p["name"] == "if-match" for p in of.get("parameters", [])):
        told.append("If-Match")
    return ", ".join(told)


@on_sqlite
def test_the_reference_is_that_of_the_app(site: Site) -> None:
    text = DOCS.read_text()
    before, rest = text.split(BEGIN)
    kept, after = rest.split(END)
    made = reference(site.send("GET", f"{API}/openapi.json").json())
    if os.environ.get("HUB_WRITE_DOCS"):
        DOCS.write_text(before + BEGIN + made + END + after)
    else:
        assert kept == made, "make it anew: HUB_WRITE_DOCS=1 pytest tests/rest/test_docs.py"


@on_sqlite
def test_every_status_is_explained(site: Site) -> None:
    text = DOCS.read_text()
    used = {
        int(code) for ops in site.app.openapi()["paths"].values() for of in ops.values() for code in of["responses"]
    }
    for code in used & set(TITLES):
        assert re.search(rf"\b{code}\b", text), code
    assert f"{MOST_BYTES >> 20} MB" in text
