"""`ihub disconnect` on a hub of the made-up company, over real HTTP."""

import re
from pathlib import Path

from hub.cli import disconnecting
from hub.cli.output import Screen

DOCS = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
SECTIONS = dict(re.findall(r"^### ihub ([\w-]+)\n(.*?)(?=^##|\Z)", DOCS, re.MULTILINE | re.DOTALL))


def test_let_go_taken_up_again_and_erased(changing, servers) -> None:
    refused = changing("disconnect", "mail", code=2)
    assert "mail was not disconnected; say `ihub disconnect mail --yes`" in refused.err
    shown = changing("disconnect", "mail", "--yes")
    assert "mail  disconnected" in shown.out
    assert "take [connections.mail] out" in shown.out
    who = servers.company.hero.person.address
    assert changing("timeline", who, "--json").json["entries"]
    health = changing("health", "--json", code=None).json
    assert {c["connection"]: c["status"] for c in health["connections"]} == {"mail": "paused", "crm": health["status"]}
    assert health["status"] != "paused"  # what was let go does not colour the whole
    synced = changing("sync", "--no-census", "--json").json
    assert [c["connection"] for c in synced["connections"]] == ["crm"]
    again = changing("sync", "mail", "--no-census", "--json").json
    assert [c["status"] for c in again["connections"]] == ["healthy"]  # named, it is taken up again

    before = changing("report", "summary", "--json").json["interactions"]
    refused = changing("disconnect", "mail", "--erase", code=2)
    assert "Erasing what only mail told" in refused.out
    assert "This cannot be undone." in " ".join(refused.out.split())
    assert changing("report", "summary", "--json").json["interactions"] == before
    found = changing("disconnect", "mail", "--erase", "--yes", "--json").json
    assert found["exit_code"] == 0
    assert found["erased"]["records"] == found["would_go"]["records"] > 30
    assert found["erased"]["interactions"] == found["would_go"]["interactions"] > 20
    section = SECTIONS["disconnect"]
    assert all(f'"{key}"' in section for key in [*found, *found["would_go"], *found["erased"]])
    entries = changing("timeline", who, "--json", code=None).json.get("entries", [])
    assert all(s["connection"] == "crm" for e in entries for s in e["sources"])
    again = changing("disconnect", "mail", "--erase", "--yes")
    assert "nothing is left" in again.out
    assert "erased: 0 records" in again.out

    changing("disconnect", "crm", "--yes")
    assert "crm is disconnected: `ihub sync crm`" in changing("plan", code=2).err


def test_an_imported_file_goes_with_what_is_remembered_of_it(empty, mbox) -> None:
    name = empty("import", "mail", mbox, "--json").json["connection"]
    shown = empty("disconnect", name, "--erase", "--yes")
    assert "hub.toml" not in shown.out
    assert f"there is no connection '{name}x'" in empty("disconnect", f"{name}x", "--yes", code=2).err
    assert "nothing is left" in empty("disconnect", name, "--erase", "--yes", code=3).out


def test_a_vendor_that_was_not_told_is_left_to_the_admin(capsys) -> None:
    from hub.engine.disconnect import Disconnected

    result = Disconnected("mail", problem="mail.example does not answer")
    result.left = disconnecting._left(result, is_import=False)
    disconnecting._show(Screen(), result)
    shown = " ".join(capsys.readouterr().out.split())
    assert result.exit_code == 3
    assert "The vendor was not told: mail.example does not answer" in shown
    assert "at the vendor: end the access of mail by hand" in shown
