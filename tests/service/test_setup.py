"""Setting up: connecting accounts, keys, what tools allow, the policy tried on real records, fields beside each other."""

import asyncio
import inspect
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import sqlalchemy as sa
from acorn import Acorn, Vendor
from cryptography.fernet import Fernet
from databases import on_sqlite
from estates import kept
from world import START, World, mail

from hub import settings as config
from hub.access import Forbidden, Invalid, Sees, Viewer, roles
from hub.api import (
    AuthError,
    ConfigError,
    ConnectorSettings,
    FakeClock,
    Identifier,
    Manifest,
    Person,
    SecretStr,
    Stream,
)
from hub.engine import Engine, catalogue, trial
from hub.plugins import Registry, load
from hub.service import Desk, NotFound, setup
from hub.settings.shape import field_names
from hub.store import Store
from hub.store import tables as t
from hub_gmail import Gmail
from hub_gmail.emulator import GmailEmulator

ANA, BEN = "ana@ourco.example", "ben@ourco.example"
KAY, SECRET = "kay@kestrel.example", "canary"
BROWSER = "the id of a session"
BACK = "http://127.0.0.1/setup/connected/gmail"


def estate(store: Store) -> World:
    """Ana's mailbox is her own; a shop and a team know Kay, too, and do not agree on her city."""
    vendors = {"anas": Vendor(), "team": Vendor(), "shop": Vendor()}
    rule = {"city": {"owner": "", "write_to": ["shop"]}, "phone": {"precedence": ["shop", "team"]}}
    world = World(
        store, vendors, sor="shop", anas={"private": True, "owner": ANA}, fields={"person": rule},
        capture={"internal": "keep", "bulk": "keep"},
    )  # fmt: skip
    world.engine.keep_private()
    vendors["anas"].mail(mail("diary", KAY, subject=f"About my {SECRET}", signals=("bulk",)))
    vendors["team"].mail(mail("order", KAY, minute=1))
    vendors["team"].mail(mail("news", "news@paper.example", minute=2, signals=("bulk",)))
    vendors["team"].mail(mail("gossip", f"sam@{world.settings.own.domains[0]}", minute=3))
    vendors["team"].mail(mail("labelled", KAY, minute=4, labels=("Legal/Court",)))
    for tool, city, phone in (("anas", SECRET, ""), ("team", "Bergen", "+47 55 55 01 01"), ("shop", "Oslo", "")):
        said = {k: v for k, v in {"city": city, "phone": phone}.items() if v}
        told = Person(external_id=tool, identifiers=(Identifier("email", KAY),), name="Kay Hill", fields=said)
        vendors[tool].put("parties", tool, told)
    world.sync()
    return world


@pytest.fixture
def world(kept_store: Store) -> World:
    """The estate, only looked at: built once a database."""
    return kept(kept_store, "setup", estate)


def desk(engine: Engine | World, email: str = "", permissions: frozenset[str] = roles.ALL) -> Desk:
    viewer = Viewer(None, email, permissions, Sees(email), "u1") if email else Viewer.local("tester")
    return Desk(engine.engine if isinstance(engine, World) else engine, viewer)


def party(world: World) -> str:
    query = sa.select(t.party.c.public_id).join(t.identifier, t.identifier.c.party_id == t.party.c.id)
    return str(world.one(query.where(t.identifier.c.value == KAY)))


# --- who may ask ------------------------------------------------------------------------------------------------------

ASKED: dict[str, tuple[Callable[..., Any], str, tuple[Any, ...]]] = {
    "overview": (setup.overview, roles.CONNECTIONS_READ, ()),
    "catalogue": (setup.catalogue, roles.CONNECTIONS_READ, ()),
    "connector": (setup.connector, roles.CONNECTIONS_READ, ("nothing",)),
    "connection": (setup.connection, roles.CONNECTIONS_READ, ("nowhere",)),
    "begin": (setup.begin, roles.CONNECTIONS_MANAGE, ("nowhere", BACK, BROWSER)),
    "finish": (setup.finish, roles.CONNECTIONS_MANAGE, ({}, BROWSER, BACK)),
    "keep_keys": (setup.keep_keys, roles.CONNECTIONS_MANAGE, ("nowhere", {"key": "x"})),
    "check": (setup.check, roles.CONNECTIONS_MANAGE, ("nowhere",)),
    "let_go": (setup.let_go, roles.CONNECTIONS_MANAGE, ("nowhere",)),
    "permissions": (setup.permissions, roles.CONNECTIONS_READ, ()),
    "policy": (setup.policy, roles.CONNECTIONS_READ, ()),
    "trial": (setup.trial, roles.POLICY_MANAGE, ("",)),
    "fields": (setup.fields, roles.CONNECTIONS_READ, ()),
    "mapping": (setup.mapping, roles.CUSTOMERS_READ, ("nobody",)),
    "conflicts": (setup.conflicts, roles.CUSTOMERS_READ, ()),
}


def ask(call: Callable[..., Any], *given: Any) -> Any:
    found = call(*given)
    return asyncio.run(found) if inspect.iscoroutine(found) else found


def test_every_use_case_is_in_the_table() -> None:
    found = {
        c for n, c in vars(setup).items() if inspect.isfunction(c) and c.__module__ == setup.__name__ and n[0] != "_"
    }
    assert found == {call for call, _, _ in ASKED.values()}


@pytest.mark.parametrize("name", ASKED)
def test_a_use_case_asks_for_its_permission_and_for_no_other(world: World, name: str) -> None:
    call, permission, given = ASKED[name]
    with pytest.raises(Forbidden, match=permission):
        ask(call, desk(world, BEN, roles.ALL - {permission}), *given)
    try:
        ask(call, desk(world, BEN, frozenset({permission})), *given)
    except (NotFound, AuthError):
        pass  # what was asked for is not there: but it was looked for


# --- where one stands -------------------------------------------------------------------------------------------------


def test_an_empty_hub_is_led_on_and_a_full_one_is_done(world: World, kept_store: Store) -> None:
    nothing = setup.overview(desk(Engine(config.Settings(), kept_store, Registry())))
    assert [(s["text"], s["is_done"]) for s in nothing["steps"]] == [
        ("Say who you are", False),
        ("Choose your tools", False),
    ]
    assert nothing["connections"] == []
    assert nothing["unconfigured"] == ["anas", "shop", "team"]
    full = setup.overview(desk(world))
    assert all(s["is_done"] for s in full["steps"]), full["steps"]
    assert {x["connection"]: x["state"] for x in full["connections"]} == dict.fromkeys(
        ("anas", "team", "shop"), "connected"
    )


# --- the catalogue ----------------------------------------------------------------------------------------------------


def test_the_catalogue_says_who_uses_a_connector(world: World) -> None:
    [row] = setup.catalogue(desk(world))
    assert (row["name"], row["streams"], row["connections"]) == ("acorn", ["mail", "parties"], ["anas", "team", "shop"])
    one = setup.connector(desk(world), "acorn")
    assert tomllib.loads(one["toml"])["connections"]["acorn"] == {"connector": "acorn", "settings": {"account": "..."}}
    assert one["settings"] == [
        {"name": "account", "type": "text", "default": "", "help": "", "is_required": True, "is_secret": False}
    ]


def test_every_installed_connector_can_be_pasted_and_its_settings_are_told() -> None:
    registry = load()
    assert {"gmail", "hubspot", "zendesk", "mailchimp", "calendar", "caldav", "imap", "mailfile"} <= set(
        registry.connectors
    )
    for name, cls in registry.connectors.items():
        text = catalogue.sample(name, cls.settings_model, f"{name}_2")
        section = tomllib.loads(text)["connections"][f"{name}_2"]
        bare = tomllib.loads(
            "\n".join(line.removeprefix("# ") for line in text.splitlines() if "Take the #" not in line)
        )
        everything = bare["connections"][f"{name}_2"]["settings"]
        about, told = catalogue.described(cls.settings_model)
        required = {s["name"] for s in told if s["is_required"]}
        assert set(section["settings"]) == required, name
        assert {s["name"] for s in told} == set(field_names(cls.settings_model)), name
        assert {s["name"] for s in told if s["is_secret"]} <= set(everything), name
        assert all(set(everything[s["name"]]) == {"env"} for s in told if s["is_secret"]), name
        assert not any(s["default"] for s in told if s["is_secret"]), name
        assert about or name == "mailfile"
    _, told = catalogue.described(registry.connectors["imap"].settings_model)
    port = next(s for s in told if s["name"] == "security")
    assert (port["type"], port["default"]) == ('"tls", "starttls" or "plain"', '"tls"')
    assert next(s for s in told if s["name"] == "folders")["help"].startswith("Read only these (decoded names")


# --- permissions ------------------------------------------------------------------------------------------------------


def test_the_matrix_has_what_was_granted_and_the_roles(world: World) -> None:
    found = setup.permissions(desk(world))
    team = next(x for x in found["connections"] if x["connection"] == "team")
    assert team["checked_at"] is not None
    assert [(p["stream"], p["action"], p["is_granted"], p["is_required"]) for p in team["permissions"]] == [
        ("mail", "read", True, True), ("parties", "read", True, True),
    ]  # fmt: skip
    assert {row["permission"] for row in found["table"]} == roles.ALL


# --- the policy -------------------------------------------------------------------------------------------------------

STRICT = """
[capture]
internal = "exclude"
bulk = "metadata"
block_labels = ["legal"]
block_addresses = ["news@paper.example"]
"""


def test_a_trial_shows_examples_newest_first_and_changes_nothing(world: World) -> None:
    before = world.timeline()
    found = setup.trial(desk(world), STRICT)
    assert [(x["connection"], x["rule"], x["subject"]) for x in found["examples"]] == [
        ("team", "block_label", "About labelled"), ("team", "internal", "About gossip"),
        ("team", "block_address", "About news"), ("anas", "bulk", f"About my {SECRET}"),
    ]  # fmt: skip
    assert (found["looked"], found["stays"], found["excluded"], found["metadata"]) == (8, 4, 3, 1)
    assert world.timeline() == before
    assert tomllib.loads(found["toml"])["capture"]["block_labels"] == ["legal"]
    assert (
        config.Capture.model_validate(tomllib.loads(setup.policy(desk(world))["toml"])["capture"])
        == world.settings.capture
    )


def test_subjects_and_private_mailboxes_are_for_who_may_see_them(world: World) -> None:
    blind = setup.trial(desk(world, BEN, roles.ALL - {roles.BODIES_READ}), STRICT)
    assert {x["subject"] for x in blind["examples"]} == {None}
    assert SECRET not in str(blind)
    assert next(x for x in blind["connections"] if x["connection"] == "anas")["looked"] == 0
    assert SECRET in str(setup.trial(desk(world, ANA), STRICT))


def test_own_domains_can_be_tried_too(world: World) -> None:
    found = setup.trial(
        desk(world), '[own]\ndomains = ["kestrel.example", "ourco.example"]\n[capture]\nbulk = "keep"\n'
    )
    team = next(x for x in found["connections"] if x["connection"] == "team")
    assert {r["rule"]: r["records"] for r in team["rules"]} == {"internal": 3}


@pytest.mark.parametrize(
    ("text", "field", "message", "fix"),
    [
        ('[capture]\nbulk = "drop"', "capture.bulk", "in line 2 must be", 'write bulk = "'),
        ('bulkk = "keep"', "capture.bulkk", "in line 1 is not a setting. Did you mean bulk?", "rename it"),
        ("[capture]\ninternal = ", "the text", "in line 2", ""),
        ('[capture]\nmetadata_only = "true"', "capture.metadata_only", "without quotes", "write metadata_only = true"),
        ('[capture]\nblock_domains = ["https://x.example/y"]', "capture.block_domains[0]", "bare domain", "x.example"),
        ('[hub]\ndata_dir = "x"', "hub", "not a part of the policy", "write [capture]"),
        ('[capture]\nrequire_label = { env = "HUB_SECRET_KEY" }', "capture.require_label", "is a reference", "value itself"),
        ('[capture]\nblock_labels = { file = "/etc/hostname" }', "capture.block_labels", "is a reference", "value itself"),
        ("[[capture]]\nbulk = 'keep'", "capture", "must be a section", "[capture]"),
    ],
)  # fmt: skip
def test_a_text_that_is_no_policy_is_refused_with_field_line_and_fix(
    text: str, field: str, message: str, fix: str
) -> None:
    with pytest.raises(Invalid) as refused:
        trial.read(text)
    assert refused.value.field == field
    assert message in refused.value.message
    assert fix in refused.value.fix


def test_the_words_follow_the_settings(world: World) -> None:
    says = {w["setting"]: w for w in setup.policy(desk(world))["words"]}
    assert set(says) == set(config.Capture.model_fields)
    assert not says["internal"]["is_on"]
    assert "ourco.example" in says["internal"]["says"]
    strict = {w["setting"]: w for w in setup.trial(desk(world), STRICT)["words"]}
    assert strict["internal"]["is_on"]
    assert "legal" in strict["block_labels"]["says"]


# --- fields -----------------------------------------------------------------------------------------------------------


def test_fields_stand_beside_each_other_with_the_one_that_counts(world: World) -> None:
    found = {f["field"]: f for f in setup.mapping(desk(world, BEN), party(world))["fields"]}
    assert (found["phone"]["value"], found["phone"]["why"], found["phone"]["source"]) == (
        "+47 55 55 01 01",
        "precedence",
        "team",
    )
    city = {(s["source"], s["value"], s["counts"]) for s in found["city"]["says"]}
    assert {(source, value) for source, value, _ in city} == {("team", "Bergen"), ("shop", "Oslo")}
    assert sum(counts for _, _, counts in city) == 1


def test_what_a_private_mailbox_says_is_left_out_for_others_and_counted(world: World) -> None:
    others = setup.mapping(desk(world, BEN), party(world))
    assert SECRET not in str(others)
    assert others["hidden"] == 1
    own = setup.mapping(desk(world, ANA), party(world))
    assert SECRET in str(own)
    assert own["hidden"] == 0


def test_conflicts_name_who_and_which_field_and_no_value(world: World) -> None:
    found = setup.conflicts(desk(world, BEN))
    assert [(x["destination"], x["name"], x["field"]) for x in found["conflicts"]] == [("shop", "Kay Hill", "city")]
    assert (found["total"], found["is_all"]) == (1, True)
    assert SECRET not in str(found)
    rules = setup.fields(desk(world))
    assert rules["system_of_record"] == "shop"
    assert [(r["field"], r["precedence"], r["write_to"]) for r in rules["rules"]] == [
        ("city", [], ["shop"]), ("phone", ["shop", "team"], [])
    ]  # fmt: skip


# --- hubs that a test changes -------------------------------------------------------------------------------------------


def test_each_trouble_of_a_connection_has_its_state_and_the_worst_comes_first(store: Store) -> None:
    world = World(store, {n: Vendor() for n in ("fine", "dead", "off", "gone")}, off={"enabled": False})
    world.vendors["fine"].mail(mail("one"))
    world.sync("fine", streams=["mail"])
    world.vendors["dead"].check_error = AuthError("the key was withdrawn")
    assert world.sync("dead", streams=["mail"]).exit_code == 4
    asyncio.run(setup.let_go(desk(world), "gone"))
    more = {
        "typo": {"connector": "acron"}, "half": {"connector": "acorn"},
        "fresh": {"connector": "acorn", "settings": {"account": "fresh"}},
    }  # fmt: skip
    settings = config.Settings.model_validate({"connections": {**_plain(world.settings), **more}})
    found = setup.overview(desk(Engine(settings, store, world.engine.registry, clock=world.clock)))["connections"]
    assert [(x["connection"], x["state"]) for x in found] == [
        ("typo", "unknown"), ("half", "incomplete"), ("dead", "again"), ("fresh", "new"), ("fine", "connected"),
        ("gone", "disconnected"), ("off", "off"),
    ]  # fmt: skip
    assert 'Did you mean "acorn"?' in found[0]["detail"]
    assert "account" in found[1]["detail"]
    assert found[2]["detail"] == "the key was withdrawn"
    world.clock.advance(25 * 3600)
    late = setup.overview(desk(world))["connections"]
    assert {x["connection"]: x["state"] for x in late}["fine"] == "stale"


def _plain(settings: config.Settings) -> dict[str, Any]:
    kept = {"connector", "enabled", "settings"}
    return {name: c.model_dump(include=kept) for name, c in settings.connections.items()}


@on_sqlite
def test_a_trial_says_what_a_sync_under_that_policy_then_does(store: Store) -> None:
    world = estate(store)
    policy = STRICT.replace('block_addresses = ["news@paper.example"]', f'block_addresses = ["{KAY}"]')
    said = setup.trial(desk(world), policy)
    rules = {x["connection"]: {r["rule"]: r["records"] for r in x["rules"]} for x in said["connections"]}
    stays = {x["connection"]: x["stays"] for x in said["connections"]}
    after = world.restart(capture=tomllib.loads(policy)["capture"], anas={"private": True, "owner": ANA})
    after.sync()
    r = t.record.c
    query = sa.select(t.connection.c.name, r.disposition, r.rule).select_from(
        sa.join(sa.join(t.record, t.stream, r.stream_id == t.stream.c.id), t.connection)
    )
    did: dict[str, dict[str, int]] = {"anas": {}, "team": {}, "shop": {}}
    still = dict.fromkeys(did, 0)
    for name, disposition, rule in after.all(query):
        if disposition in {"excluded", "private"} or rule == "bulk":
            did[name][rule] = did[name].get(rule, 0) + 1
        else:
            still[name] += 1
    assert rules == did
    assert stays == still
    assert did["team"] == {"internal": 1, "block_label": 1, "bulk": 1, "block_address": 2}


# --- signing in on a page ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vendor() -> Iterator[tuple[GmailEmulator, str]]:
    emulator = GmailEmulator()
    emulator.add_mailbox(ANA)
    with emulator.serve() as running:
        yield emulator, running.url


@pytest.fixture
def google(store: Store, vendor: tuple[GmailEmulator, str], monkeypatch: pytest.MonkeyPatch) -> Engine:
    """A hub with a Gmail connection that nobody has signed in to yet."""
    monkeypatch.setenv("HUB_SECRET_KEY", Fernet.generate_key().decode())
    emulator, url = vendor
    emulator.oauth.consent = replace(emulator.oauth.consent, is_given=True, scopes=None)
    given = {
        "mailbox": ANA, "client_id": "client", "client_secret": "hush", "base_url": f"{url}/", "token_url": f"{url}/token",
        "auth_url": f"{url}/o/oauth2/v2/auth",
    }  # fmt: skip
    settings = config.Settings.model_validate({"connections": {"mail": {"connector": "gmail", "settings": given}}})
    return Engine(settings, store, Registry(connectors={"gmail": Gmail}), clock=FakeClock(START))


def visit(address: str) -> dict[str, str]:
    """What the vendor sends the browser back with."""
    target = httpx.get(address).headers["location"]
    assert target.startswith(BACK)
    return {k: v[0] for k, v in parse_qs(urlsplit(target).query).items()}


def test_from_the_page_to_a_connection_that_works(google: Engine) -> None:
    hub = desk(google)
    [before] = setup.overview(hub)["connections"]
    assert before["state"] == "sign-in"
    asked = setup.begin(hub, "mail", BACK, BROWSER)
    assert asked["title"] == "Google"
    assert asked["scopes"] == ["https://www.googleapis.com/auth/gmail.readonly"]
    found = asyncio.run(setup.finish(hub, visit(asked["address"]), BROWSER, BACK))
    assert (found["connection"], found["exit_code"], found["label"]) == ("mail", 0, ANA)
    one = setup.connection(hub, "mail")
    assert one["state"] == "new"
    assert one["allowed"]["checked_at"] == START
    read = one["allowed"]["permissions"][0]
    assert (read["stream"], read["action"], read["is_granted"]) == ("messages", "read", True)
    assert one["settings"]["settings"]["client_secret"] == config.MASK
    with google.store.read() as c:
        assert "connection-signed-in" in c.execute(sa.text("SELECT act FROM access_event")).scalars().all()


@on_sqlite
def test_a_client_secret_is_typed_before_anybody_signs_in(google: Engine) -> None:
    given = {k: v for k, v in google.settings.connections["mail"].settings.items() if k != "client_secret"}
    settings = config.Settings.model_validate({"connections": {"mail": {"connector": "gmail", "settings": given}}})
    hub = desk(Engine(settings, google.store, google.registry, clock=google.clock))
    assert asyncio.run(setup.keep_keys(hub, "mail", {"client_secret": "hush"}))["awaits_sign_in"]
    assert setup.connection(hub, "mail")["secrets"]["client_secret"] == "hub"
    asked = setup.begin(hub, "mail", BACK, BROWSER)
    assert asyncio.run(setup.finish(hub, visit(asked["address"]), BROWSER, BACK))["exit_code"] == 0
    with pytest.raises(Invalid, match="not both and not neither") as refused:
        asyncio.run(setup.keep_keys(hub, "mail", {"service_account_key": "a key that is none"}))
    assert "that is none" not in str(refused.value)


@on_sqlite
def test_an_answer_counts_once_in_its_browser_for_ten_minutes(google: Engine) -> None:
    hub = desk(google)

    def refused(
        answer: dict[str, str], browser: str = BROWSER, match: str = "start it again", arrived_at: str = BACK
    ) -> None:
        with pytest.raises(AuthError, match=match):
            asyncio.run(setup.finish(hub, answer, browser, arrived_at))

    refused({"code": "stolen", "state": "guess"})
    refused({"code": "stolen"})
    answer = visit(setup.begin(hub, "mail", BACK, BROWSER)["address"])
    refused(answer, "another browser")
    refused(answer)  # brought once is used up, whoever brought it
    answer = visit(setup.begin(hub, "mail", BACK, BROWSER)["address"])
    refused({**answer, "iss": "https://elsewhere.example"}, match="does not come from Google")
    answer = visit(setup.begin(hub, "mail", BACK, BROWSER)["address"])
    refused(answer, arrived_at=BACK.replace("gmail", "zendesk"))
    answer = visit(setup.begin(hub, "mail", BACK, BROWSER)["address"])
    hub.engine.clock.advance(601)  # type: ignore[attr-defined]
    refused(answer)
    assert setup.overview(hub)["connections"][0]["state"] == "sign-in"


@on_sqlite
def test_a_no_at_the_vendor_is_told_and_keeps_nothing(google: Engine, vendor: tuple[GmailEmulator, str]) -> None:
    oauth = vendor[0].oauth
    oauth.consent = replace(oauth.consent, is_given=False)
    asked = setup.begin(desk(google), "mail", BACK, BROWSER)
    with pytest.raises(AuthError, match="access_denied"):
        asyncio.run(setup.finish(desk(google), visit(asked["address"]), BROWSER, BACK))
    with google.store.read() as c:
        assert c.execute(sa.select(sa.func.count()).select_from(t.secret)).scalar() == 0


@on_sqlite
def test_without_a_key_to_keep_it_with_nobody_is_sent_anywhere(google: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUB_SECRET_KEY")
    engine = Engine(google.settings, google.store, google.registry, clock=google.clock)
    with pytest.raises(ConfigError, match="set HUB_SECRET_KEY"):
        setup.begin(desk(engine), "mail", BACK, BROWSER)


# --- keys -------------------------------------------------------------------------------------------------------------


class LockedSettings(ConnectorSettings):
    account: str
    key: SecretStr
    other: SecretStr = SecretStr("")


class Locked(Acorn):
    """Acorn behind a key."""

    manifest: ClassVar[Manifest] = Manifest("locked", "Locked", ("email",), (Stream("mail"),), auth=("api_key",))
    settings_model = LockedSettings  # type: ignore[assignment]

    async def check(self) -> Any:
        if self.settings.key.get_secret_value() != "right":  # type: ignore[attr-defined]
            raise AuthError("the key is not known there")
        return await super().check()


@pytest.fixture
def locked(store: Store, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("HUB_SECRET_KEY", Fernet.generate_key().decode())
    World(store, {"box": Vendor()})
    settings = config.Settings.model_validate({
        "connections": {"box": {"connector": "locked", "settings": {"account": "box", "other": "named-in-the-file"}}}
    })  # fmt: skip
    return Engine(settings, store, Registry(connectors={"locked": Locked}), clock=FakeClock(START))


def test_a_key_is_kept_encrypted_once_the_tool_took_it_and_goes_with_the_connection(locked: Engine) -> None:
    hub = desk(locked)
    assert setup.overview(hub)["connections"][0]["state"] == "incomplete"
    with pytest.raises(Invalid, match="not known there"):
        asyncio.run(setup.keep_keys(hub, "box", {"key": "wrong"}))
    assert setup.connection(hub, "box")["secrets"] == {"key": "", "other": "file"}
    assert asyncio.run(setup.keep_keys(hub, "box", {"key": "right"}))["exit_code"] == 0
    with pytest.raises(Invalid, match="not known there"):
        asyncio.run(setup.keep_keys(hub, "box", {"key": "wrong"}))
    one = setup.connection(hub, "box")
    assert (one["state"], one["secrets"]) == ("new", {"key": "hub", "other": "file"})
    assert "right" not in str(one)
    asyncio.run(locked.connector("box").check())  # the one before stands
    with locked.store.read() as c:
        [kept_value] = c.execute(sa.select(t.secret.c.value)).scalars()
        assert b"right" not in bytes(kept_value)
        told = [tuple(row) for row in c.execute(sa.text("SELECT act, detail FROM access_event"))]
    assert told == [("connection-key", '{"connection": "box", "fields": ["key"]}')]
    assert asyncio.run(setup.let_go(hub, "box"))["problem"] == ""
    assert setup.connection(hub, "box")["secrets"]["key"] == ""
    assert setup.connection(hub, "box")["allowed"]["checked_at"] is None


@on_sqlite
def test_keys_that_cannot_be_decrypted_any_more_are_typed_again(
    locked: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(setup.keep_keys(desk(locked), "box", {"key": "right"}))
    monkeypatch.setenv("HUB_SECRET_KEY", Fernet.generate_key().decode())
    hub = desk(Engine(locked.settings, locked.store, locked.registry, clock=locked.clock))
    one = setup.connection(hub, "box")
    assert (one["state"], one["secrets"]["key"]) == ("again", "")
    assert asyncio.run(setup.keep_keys(hub, "box", {"key": "right"}))["exit_code"] == 0
    assert setup.connection(hub, "box")["state"] == "new"


@on_sqlite
@pytest.mark.parametrize(
    ("given", "why"),
    [({"other": "x"}, "given by hub.toml"), ({"account": "x"}, "no secret of this connection"), ({}, "is missing")],
)
def test_what_cannot_be_typed(locked: Engine, given: dict[str, str], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        asyncio.run(setup.keep_keys(desk(locked), "box", given))
