"""`check`: what this key may read and write, proven by trying, and our merge field made where it is missing."""

from hub.api import Gone, Manifest, Permission, PermissionMatrix, RecordRejected, ScopeError, Stream
from hub_mailchimp.client import Client, Row, text

_LISTS = {"sends": "sent-to", "activity": "email-activity", "unsubscribes": "unsubscribed"}


async def check(client: Client, manifest: Manifest) -> PermissionMatrix:
    """Raises AuthError when the key is refused altogether; a single refusal is a row."""
    account = await client.get("", fields="account_id,account_name,email,role")
    try:
        audiences = await client.audiences()
    except ScopeError:
        audiences = []
    rows = [await _reads(client, stream) for stream in manifest.streams]
    rows += [await _writes(client, row) for row in audiences] or [
        Permission("members", "write", False, "there is no audience to write to", "lists")
    ]
    own = {text(account, "email")} | {text(row.get("campaign_defaults") or {}, "from_email") for row in audiences}
    return PermissionMatrix(
        text(account, "account_id"), text(account, "account_name"), tuple(rows),
        own_identities=tuple(sorted(a for a in own if a)),
    )  # fmt: skip


async def _reads(client: Client, stream: Stream) -> Permission:
    name, area = stream.name, stream.needs[0]
    try:
        found, _ = await client.rows(area, area, count=1, fields=f"total_items,{area}.id")
        if name == "members" and found:
            path = f"lists/{found[0]['id']}/members"
            await client.rows(path, "members", count=1, fields="total_items,members.id")
        elif name in _LISTS and found:
            await client.get(f"reports/{found[0]['id']}/{_LISTS[name]}", count=1, fields="total_items")
    except ScopeError as exc:
        return Permission(name, "read", False, exc.message, area)
    return Permission(name, "read", True, scope=area)


async def _writes(client: Client, audience: Row) -> Permission:
    """Our merge field exists, or can be made: the harmless write that pushing needs anyway."""
    tag, path = client.settings.key_field, f"lists/{audience['id']}/merge-fields"
    label = f"audience {text(audience, 'name') or audience['id']}"
    try:
        known = set[str]()
        async for part in client.all_rows(path, "merge_fields", fields="total_items,merge_fields.tag"):
            known |= {text(row, "tag") for row in part}
        lacking = sorted(set(client.settings.merge_fields.values()) - known)
        rest = f"; it has no field {', '.join(lacking)}" if lacking else ""
        if tag in known:
            return Permission("members", "write", True, f"{label}: {tag} is there{rest}", "lists")
        if not client.settings.create_key_field:
            return Permission("members", "write", False, f"{label}: make a text field with the tag {tag}", "lists")
        body = {"name": "Interaction hub key", "tag": tag, "type": "text", "public": False, "required": False}
        await client.request("POST", path, json=body)
    except (ScopeError, RecordRejected, Gone) as exc:
        return Permission("members", "write", False, f"{label}: {exc.message}", "lists")
    return Permission("members", "write", True, f"{label}: {tag} was made{rest}", "lists")
