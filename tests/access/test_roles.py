"""The one table of permissions, and the page that shows it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hub.access import Forbidden, Invalid, Sees, Viewer, roles
from hub.access.ledger import ACTS

PAGE = (Path(__file__).parents[2] / "docs" / "access.md").read_text("utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading of the page, without its head."""
    below = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    table = [line for line in below.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_the_page_shows_the_table_as_it_is() -> None:
    shown = [
        [f"`{row.name}`", row.what, *("yes" if role in row.roles else "" for role in roles.ROLES)]
        for row in roles.PERMISSIONS.values()
    ]
    assert rows("Roles and permissions") == shown
    assert f"| permission | may | {' | '.join(roles.ROLES)} |" in PAGE
    for role, what in roles.ROLES.items():
        assert f"- **{role}** {what}" in PAGE


def test_the_page_names_every_act_of_the_ledger() -> None:
    assert rows("The ledger") == [[f"`{act}`", what] for act, what in ACTS.items()]


def test_nobody_waits_for_what_only_a_sign_in_needs() -> None:
    program = "import sys, hub.access, hub.access.oidc, hub.cli.users; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert {"argon2", "authlib", "joserfc", "starlette", "fastapi"}.isdisjoint(loaded)


def test_every_permission_is_a_constant_of_the_module() -> None:
    named = {value for name, value in vars(roles).items() if name.isupper() and isinstance(value, str)}
    assert named == roles.ALL
    assert all(re.fullmatch(r"[a-z]+\.[a-z]+", name) for name in roles.ALL)


def test_what_the_roles_are_for() -> None:
    assert roles.allowed(["admin"]) == roles.ALL
    assert roles.allowed([]) == frozenset()
    assert roles.allowed(["nobody"]) == frozenset()
    assert roles.allowed(["viewer", "operator"]) == roles.allowed(["viewer"]) | roles.allowed(["operator"])
    changing = {
        n for n in roles.ALL if n.split(".")[1] in {"approve", "decide", "manage", "propose", "choose", "replay"}
    }
    assert not roles.allowed(["viewer", "auditor"]) & changing
    assert {n for n in roles.ALL if roles.PERMISSIONS[n].roles == ("admin",)} == {
        roles.HOOKS_MANAGE, roles.POLICY_MANAGE, roles.USERS_MANAGE
    }  # fmt: skip
    assert roles.BODIES_READ not in roles.allowed(["operator", "auditor"])


def test_a_viewer_is_refused_in_words_that_help() -> None:
    agent = Viewer(7, "Ana", roles.allowed(["agent"]), Sees("ana@ourco.example"), "u7")
    agent.must(roles.CUSTOMERS_READ)
    assert agent.may(roles.CUSTOMERS_READ)
    assert not agent.may(roles.PLANS_APPROVE)
    with pytest.raises(Forbidden, match=r"plans\.approve.*operator or admin.*an admin can give it") as caught:
        agent.must(roles.PLANS_APPROVE)
    assert (caught.value.permission, caught.value.roles) == ("plans.approve", ("operator", "admin"))
    program = Viewer(7, "Ana", frozenset({roles.HEALTH_READ}), Sees(), "u7", "token abcdefgh")
    with pytest.raises(Forbidden, match=r"customers\.read, which this token does not have"):
        program.must(roles.CUSTOMERS_READ)
    with pytest.raises(KeyError):
        agent.must("customers.raed")


def test_the_operator_at_the_machine_may_do_everything() -> None:
    local = Viewer.local("ines")
    for permission in roles.ALL:
        local.must(permission)
    assert local.sees.everything
    assert (local.account_id, local.actor, local.via) == (None, "local:ines", "local")
    with pytest.raises(AttributeError):
        local.name = "somebody"  # type: ignore[misc]


@pytest.mark.parametrize("given", [["admni"], ["agent", "root"], []])
def test_roles_there_are_not(given: list[str]) -> None:
    with pytest.raises(Invalid, match="role .*one of viewer, agent, operator, admin, auditor"):
        roles.checked_roles(given)


def test_roles_and_scopes_are_read_in_any_order_and_case() -> None:
    assert roles.checked_roles([" Admin", "agent", "agent"]) == ("agent", "admin")
    assert roles.checked_scopes(["Health.Read", "reports.read"]) == {"health.read", "reports.read"}
    for wrong in ([], ["health.write"]):
        with pytest.raises(Invalid, match="scope"):
            roles.checked_scopes(wrong)
