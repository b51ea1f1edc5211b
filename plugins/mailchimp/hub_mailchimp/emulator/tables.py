"""Filling the account from the tables a loader makes of a real one: list, member, campaign, recipients, activity."""

from typing import Any

from hub_mailchimp.emulator.audience import Audiences
from hub_mailchimp.emulator.campaigns import Campaigns

Tables = dict[str, list[dict[str, str]]]


def load_tables(audiences: Audiences, campaigns: Campaigns, tables: Tables) -> dict[str, int]:
    """Rows taken per table. Rows whose audience or campaign is in no table are left out; times without a zone are UTC.

    Recipients of whom there is no member row keep their hash and have no address, as erased ones do. Mails of an
    automation are campaigns of that type.
    """
    taken = dict.fromkeys(tables, 0)
    for row in tables.get("list", ()):
        audiences.add(row["name"], id=row["id"], date_created=_iso(row["date_created"]))
        taken["list"] += 1
    for row in tables.get("member", ()):
        if row["list_id"] in audiences.lists:
            _member(audiences, row)
            taken["member"] += 1
    workflows = {row["id"]: row["list_id"] for row in tables.get("automation", ())}
    taken["automation"] = len(workflows)
    for table, kind in (("campaign", "regular"), ("automation_email", "automation")):
        for row in tables.get(table, ()):
            list_id = row.get("list_id") or workflows.get(row.get("automation_id", ""), "")
            sent = _iso(row["send_time"] or row["create_time"])
            campaigns.send(list_id, row["subject_line"], id=row["id"], send_time=sent, type=kind)
            taken[table] += 1
    addresses = {(m["list_id"], m["id"]): m["email_address"] for m in audiences.members.values()}
    for prefix in ("campaign", "automation"):
        named = "campaign_id" if prefix == "campaign" else "automation_email_id"
        for row in tables.get(f"{prefix}_recipient", ()):
            if row[named] in campaigns.campaigns:
                email = addresses.get((row["list_id"], row["member_id"]), "")
                campaigns.recipient(row[named], row["member_id"], email)
                taken[f"{prefix}_recipient"] += 1
        for row in tables.get(f"{prefix}_recipient_activity", ()):
            if row[named] in campaigns.campaigns:
                campaigns.event(
                    row[named], row["member_id"], row["action"], _iso(row["timestamp"]), row["url"], row["ip"],
                    row["bounce_type"],
                )  # fmt: skip
                taken[f"{prefix}_recipient_activity"] += 1
    for row in tables.get("unsubscribe", ()):
        if row["campaign_id"] in campaigns.campaigns:
            at = _iso(row["timestamp"])
            campaigns.event(row["campaign_id"], row["member_id"], "unsubscribe", at, reason=row["reason"])
            taken["unsubscribe"] += 1
    audiences.bells.events.clear()
    return taken


def _member(audiences: Audiences, row: dict[str, str]) -> None:
    times: dict[str, Any] = {k: _iso(row[k]) for k in ("last_changed", "timestamp_opt", "timestamp_signup")}
    merge = {k.removeprefix("merge_").upper(): v for k, v in row.items() if k.startswith("merge_")}
    key = audiences.join(row["list_id"], row["email_address"], merge_fields=merge, status=row["status"], **times)
    kept = ("id", "unique_email_id", "ip_opt", "ip_signup", "language", "email_client")
    audiences.members[key].update({k: row[k] for k in kept})


def _iso(value: str) -> str:
    return f"{value.replace(' ', 'T')}+00:00" if value else ""
