"""What a connection may do: one read of each object, harmless write probes, and our unique property.

A write permission is judged by an empty batch: HubSpot checks the scope before it looks at the inputs, and an empty
batch changes nothing. The only thing `check` ever writes is the definition of our property, where it is missing.
"""

from dataclasses import dataclass
from typing import Any

from hub.api import Conflict, Gone, HubError, Permission, PermissionMatrix, RecordRejected, ScopeError
from hub_hubspot import fields
from hub_hubspot.client import Client
from hub_hubspot.consent import NOBODY, SCOPE
from hub_hubspot.errors import MissingScope
from hub_hubspot.objects import OBJECTS, PUSHED, ObjectType
from hub_hubspot.settings import HubSpotSettings

PROBE_KEY = "ihub-probe"
GROUPS = {"contacts": "contactinformation", "companies": "companyinformation"}
OWNERS_SCOPE = "crm.objects.owners.read"


@dataclass(frozen=True, slots=True)
class Account:
    """Who the portal is. zone: where its days begin."""

    id: str
    label: str
    zone: str = ""


class Setup:
    """The questions `check` asks, one after the other; only a refused sign-in ends them early."""

    def __init__(self, client: Client, settings: HubSpotSettings) -> None:
        self.client = client
        self.settings = settings
        self.capabilities: list[str] = []

    async def run(self) -> tuple[PermissionMatrix, Account]:
        account = await self.account()
        rows = [await self._reads_owners()]
        rows += [await self._reads(kind) for kind in OBJECTS.values()]
        for name in (name for names in PUSHED.values() for name in names):
            rows += await self._writes(OBJECTS[name])
        for setting, kind in (("person_fields", "person"), ("organization_fields", "organization")):
            rows += [r for p in getattr(self.settings, setting).values() if (r := await self._field(setting, kind, p))]
        rows.append(await self._unsubscribes())
        return PermissionMatrix(account.id, account.label, tuple(rows), capabilities=tuple(self.capabilities)), account

    async def account(self) -> Account:
        try:
            found = await self.client.account()
        except (ScopeError, Gone):
            found = {}
        portal = str(found.get("portalId") or self.settings.portal_id or "unknown")
        zone = str(found.get("timeZone") or "")
        words = [str(found[n]) for n in ("uiDomain", "accountType", "timeZone", "dataHostingLocation") if found.get(n)]
        return Account(portal, f"HubSpot portal {portal}" + (f" ({', '.join(words)})" if words else ""), zone)

    async def _reads_owners(self) -> Permission:
        try:
            await self.client.owners(limit=1)
        except ScopeError as exc:
            return _denied("owners", "read", exc, OWNERS_SCOPE)
        return Permission("owners", "read", True, scope=OWNERS_SCOPE)

    async def _reads(self, kind: ObjectType) -> Permission:
        try:
            await self.client.page(kind.name, properties=kind.properties, limit=1)
        except ScopeError as exc:
            return _denied(kind.name, "read", exc, ", ".join(kind.reads))
        except (RecordRejected, Gone) as exc:
            return Permission(kind.name, "read", False, f"HubSpot refuses the read: {exc.message}")
        return Permission(kind.name, "read", True, scope=", ".join(kind.reads))

    async def _writes(self, kind: ObjectType) -> list[Permission]:
        has_upsert = True
        try:
            await self.client.write(kind.name, "upsert", [], safe=True)
        except ScopeError as exc:
            return [_denied(kind.name, "write", exc, kind.writes)]
        except Gone:
            has_upsert = False
        except (RecordRejected, Conflict) as exc:
            words = exc.message.lower()
            has_upsert = exc.status != 405 and not ("upsert" in words and "support" in words)
        try:
            has_key, refusal = await self._key_property(kind)
        except ScopeError as exc:
            has_key, refusal = False, _denied(f"{kind.name}:{self.settings.key_property}", "write", exc, kind.schema)
        rows = [Permission(kind.name, "write", True, self._way(kind, has_key, has_upsert), kind.writes)]
        if has_key:
            self.capabilities.append(f"unique-key:{kind.name}")
            if has_upsert:
                self.capabilities.append(f"upsert:{kind.name}")
        return [*rows, refusal] if refusal else rows

    def _way(self, kind: ObjectType, has_key: bool, has_upsert: bool) -> str:
        name = self.settings.key_property
        if has_key:
            return f"idempotent by {name}" + ("" if has_upsert else ", created singly: batch/upsert is not offered")
        if kind.name == "companies":
            return f"refused until {name} exists: nothing else tells two companies apart"
        if kind.name == "contacts":
            return f"by e-mail address only, since {name} does not exist"
        return f"our key stands in the text, since {name} does not exist"

    async def _key_property(self, kind: ObjectType) -> tuple[bool, Permission | None]:
        """(our property exists and is unique, a row about it where it does not)."""
        name = self.settings.key_property
        found = await self.client.property(kind.name, name)
        if found is None:
            if not self.settings.create_key_property:
                return False, self._about_key(kind, f"property {name} does not exist and create_key_property is off")
            try:
                found = await self.client.create_property(kind.name, await self._definition(kind))
            except Conflict:  # made by somebody else in this moment, or kept among archived ones: look again
                found = await self.client.property(kind.name, name)
            except RecordRejected as exc:
                return False, self._about_key(kind, f"property {name} cannot be created: {exc.message}")
        if not found or not found.get("hasUniqueValue"):
            return False, self._about_key(kind, f"property {name} is not set to require unique values: delete it")
        try:
            await self.client.read(kind.name, [PROBE_KEY], [name], name)
        except HubError as exc:
            if not isinstance(exc, (RecordRejected, Gone)):
                raise
            return False, self._about_key(kind, f"objects cannot be read by {name}: {exc.message}")
        return True, None

    async def _field(self, setting: str, kind: str, name: str) -> Permission | None:
        """A row about a property the settings name and the portal lacks or keeps to itself; None when all is well."""
        object_type = OBJECTS[fields.OBJECT[kind]]
        place = f"{object_type.name}:{name}"
        try:
            found = await self.client.property(object_type.name, name)
        except ScopeError as exc:
            return _denied(place, "write", exc, object_type.reads[0])
        if found is None:
            return Permission(
                place, "write", False, f"{setting} names {name}, which the portal has not: create it there"
            )
        if (found.get("modificationMetadata") or {}).get("readOnlyValue"):
            return Permission(place, "write", False, f"{setting} names {name}, whose values only HubSpot sets")
        return None

    async def _unsubscribes(self) -> Permission:
        try:
            await self.client.may_unsubscribe(NOBODY)
        except ScopeError as exc:
            return _denied("consent", "write", exc, SCOPE)
        except (RecordRejected, Conflict, Gone):
            pass  # it is asked whether we may before it is asked what
        return Permission("consent", "write", True, "opt-outs, one address at a time", SCOPE)

    def _about_key(self, kind: ObjectType, detail: str) -> Permission:
        return Permission(f"{kind.name}:{self.settings.key_property}", "write", False, detail, kind.schema)

    async def _definition(self, kind: ObjectType) -> dict[str, Any]:
        """In the group its own standard properties are in; the groups of engagements are not documented."""
        standard = await self.client.property(kind.name, "hs_object_id")
        group = str((standard or {}).get("groupName") or GROUPS.get(kind.name, kind.name))
        return {
            "name": self.settings.key_property,
            "label": "Interaction hub key",
            "description": "Set by interaction-hub: ties this record to the hub, so that nothing is written twice.",
            "groupName": group,
            "type": "string",
            "fieldType": "text",
            "hasUniqueValue": True,
            "formField": False,
        }


def _denied(stream: str, action: Any, error: ScopeError, expected: str) -> Permission:
    scopes = ", ".join(error.scopes) if isinstance(error, MissingScope) and error.scopes else expected
    return Permission(stream, action, False, error.message, scopes)
