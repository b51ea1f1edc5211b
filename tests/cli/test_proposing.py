"""An assistant proposes over stdio, a person says yes at a terminal, and the tool has one task: over real HTTP to its emulator."""

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from mcp import Client, StdioServerParameters

from hub.cli import deciding, output

RUN = "import sys; from hub.cli import main; sys.exit(main(sys.argv[1:]))"


def assistant(*words: str, who: str, what: str) -> list[Any]:
    """What `ihub mcp` answers: the brief, and the proposal."""
    program = StdioServerParameters(
        command=sys.executable, args=["-c", RUN, "mcp", *words], env=dict(os.environ), cwd=os.getcwd()
    )

    async def talk() -> list[Any]:
        async with Client(program) as client:
            brief = await client.call_tool("brief", {"customer": who})
            given = {
                "customer": who, "what": what, "due": str((datetime.now(UTC) + timedelta(days=3)).date()),
                "expected_version": brief.structured_content["version"], "idempotency_key": "test-key-1",
            }  # fmt: skip
            return [await client.call_tool("propose_next_step", given) for _ in range(2)]

    return asyncio.run(talk())


def test_what_an_assistant_proposes_takes_a_person_at_a_terminal(changing, servers, company, monkeypatch) -> None:
    who = company.hero.person.address
    before = servers.hubspot_emulator.state()["objects"]
    others = changing("brief", who, "--json").json["next_step"]["others"]
    refused, _ = assistant(who=who, what="Send the offer")
    assert refused.is_error
    assert "plans.propose" in refused.content[0].text
    made, again = assistant("--propose", who=who, what="Send the offer")
    assert not made.is_error, made.content[0].text
    assert again.structured_content == made.structured_content
    number = made.structured_content["plan"]
    assert changing("plan", "--json").json["proposed"] == [number]
    assert f"`ihub approve {number}` shows the oldest" in changing("plan").out

    monkeypatch.setenv("HUB_SYSTEM_OF_RECORD__APPROVE", "auto")
    refused = changing("approve", number, code=2)
    assert "An assistant proposed this: Send the offer" in refused.err
    assert "say yes to it at a terminal" in " ".join(refused.err.split())
    assert company.hero.person.name in refused.err
    for words in (("apply", number), ("apply", number, "--yes")):
        assert f"`ihub approve {number}` shows it to a person" in changing(*words, code=2).err
    monkeypatch.setattr(output, "can_ask", lambda: True)
    monkeypatch.setattr(deciding, "can_ask", lambda: True)
    monkeypatch.setattr(output.Screen, "ask", lambda self, question: False)
    assert "it stays open" in " ".join(changing("approve", number, code=2).err.split())
    assert servers.hubspot_emulator.state()["objects"] == before

    monkeypatch.setattr(output.Screen, "ask", lambda self, question: True)
    approved = changing("approve", number, "--json").json
    assert (approved["status"], approved["kind"], approved["changes"]) == ("approved", "step", 1)
    assert changing("apply", number, "--json").json["done"] == {"created": 1}
    after = servers.hubspot_emulator.state()["objects"]
    assert {k: v for k, v in after.items() if v != before.get(k)} == {"tasks": before["tasks"] + 1}
    monkeypatch.delenv("HUB_SYSTEM_OF_RECORD__APPROVE")
    assert "proposed" not in changing("plan", "--json").json
    changing("sync", "crm", "--quiet", "--no-census")
    assert changing("brief", who, "--json").json["next_step"]["others"] == others + 1
    assert changing("undo", number, "--yes", "--json").json["exit_code"] == 0
    assert servers.hubspot_emulator.state()["objects"] == before
