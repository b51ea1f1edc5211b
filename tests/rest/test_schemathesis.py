"""The OpenAPI document holds: schemathesis calls every route as it is described, and as it is not, over HTTP.

Few calls each time. HUB_SCHEMATHESIS=40 makes that many for each route, and goes through all edges and chains of calls.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from callers import API, KAY, Site
from cryptography.fernet import Fernet
from databases import on_sqlite

from hub import inbox
from hub.store import Store, marks

pytest.importorskip("schemathesis", reason='schemathesis is not installed: pip install "schemathesis>=4.32,<5"')
pytestmark = [on_sqlite, pytest.mark.timeout(3600)]
PROGRAM = "from schemathesis.cli import schemathesis; schemathesis()"
# An unknown id, a state that does not fit, or another's ETag is no mistake of the description.
ACCEPTED = ["2xx", "3xx", "401", "403", "404", "409", "412", "502", "503"]
REFUSED = ["400", "401", "403", "404", "405", "406", "409", "412", "415", "422"]


def configuration(site: Site, url: str) -> str:
    """With ids of what is there, so that calls get beyond "there is no such thing"."""
    party = site.get(f"/parties?q={KAY}").json()["parties"][0]["public_id"]
    entry = site.get(f"/parties/{party}/timeline").json()["entries"][0]["public_id"]
    hooks = [site.ask("POST", "/webhooks", json={"url": f"https://hooks.example/{n}"}).json()["endpoint"] for n in "ab"]
    plan = site.ask("POST", "/plans", json={}).json()["plan"]
    named: dict[str, dict[str, Any]] = {
        "/parties/": {"path.public_id": party}, "/interactions/": {"path.public_id": entry}, "/plans/": {"path.number": plan},
        "why-": {"a": KAY, "b": "sam@ourco.example"}, "/webhooks/.*endpoint": {"path.endpoint": hooks[0]},
        "/connections/": {"path.name": "a"}, "/runs/": {"path.number": 1},
    }  # fmt: skip
    lines = [
        f"[checks.positive_data_acceptance]\nexpected-statuses = {json.dumps(ACCEPTED)}",
        f"[checks.negative_data_rejection]\nexpected-statuses = {json.dumps(REFUSED)}",
        "[generation]\nallow-x00 = false",  # a NUL is refused everywhere: test_bad_inputs
    ]
    for path, parameters in named.items():
        given = ", ".join(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in parameters.items())
        lines.append(f"[[operations]]\ninclude-path-regex = {json.dumps(path)}\nparameters = {{ {given} }}")
    # Spans of dates that are too long, zones there are not, marks of a question that was answered: no schema says those.
    for path in ("/reports/", "/identity/reviews$", "/coverage$"):
        accepted = json.dumps([*ACCEPTED, "422"])
        lines.append(
            f"[[operations]]\ninclude-path-regex = {json.dumps(path)}\nchecks.positive_data_acceptance.expected-statuses = {accepted}"
        )
    return "\n\n".join(lines) + "\n"


def test_every_route_does_what_the_description_says(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_SECRET_KEY", Fernet.generate_key().decode())
    site, deep = Site(store), os.environ.get("HUB_SCHEMATHESIS", "")
    try:
        with inbox.serving(site.app, "127.0.0.1", 0) as url:
            config = tmp_path / "schemathesis.toml"
            config.write_text(configuration(site, url))
            done = subprocess.run(
                [
                    sys.executable, "-c", PROGRAM, "--config-file", str(config), "run", f"{url}{API}/openapi.json", "--checks", "all",
                    "-H", f"Authorization: Bearer {site.tokens['admin']}", "--seed", "5", "--continue-on-failure",
                    "--phases", "examples,coverage,fuzzing,stateful" if deep else "examples,fuzzing", "--max-examples", deep or "2",
                    "--no-shrink", "--suppress-health-check", "all", "--generation-database", "none", "--no-color",
                ],
                capture_output=True, text=True, cwd=tmp_path, check=False,
                env={**os.environ, "SCHEMATHESIS_HOOKS": "fuzzing_hooks", "PYTHONPATH": str(Path(__file__).parent)},
            )  # fmt: skip
    finally:
        marks.arm(store, ())
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert f"Tested: {sum(map(len, site.app.openapi()['paths'].values()))}" in done.stdout
