"""The made-up company of the demo as a world of its own: mailboxes filled, CRM seeded."""

import email.utils
from collections.abc import Sequence
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any

from hub.demo import Company
from tests.e2e.world import World

END = datetime(2026, 10, 30, 15, 0, tzinfo=UTC)


def built() -> Company:
    """The same company every time."""
    return Company.build(end=END)


def world(
    folder: Path, company: Company, mailboxes: Sequence[str] = (), newest: int | None = None, **more: Any
) -> World:
    """Some or all mailboxes with all or the newest copies of their mail."""
    chosen = list(mailboxes or company.mailboxes)
    config = f'[identity]\nfree_domains_extra = ["{company.freemail}"]\n'
    config += f'[capture]\nprivate_labels = ["{company.private_label}"]'
    made = World(folder, [], [company.domain], config=config, **more)
    made.add_mailboxes({address: company.aliases.get(address, ()) for address in chosen})
    for address in chosen:
        copies = [m for m in company.messages() if m.mailbox == address]
        for mail in copies[-newest:] if newest else copies:
            made.gmail.add_message(address, mail.raw, mail.labels, mail.received_at)
    made.hubspot.control("seed", seed(company))
    return made


def seed(company: Company) -> dict[str, Any]:
    """The CRM's rows, with numbers in place of their names, as a portal hands them out."""
    rows = company.hubspot_seed()
    ids = {row["ref"]: str(7_000_001 + n) for n, row in enumerate(rows["objects"])}
    types = {row["ref"]: row["type"] for row in rows["objects"]}
    objects: dict[str, list[dict[str, Any]]] = {}
    for row in rows["objects"]:
        links = [{"to": types[a["to_ref"]], "id": ids[a["to_ref"]]} for a in row.get("associations", ())]
        entry = {"id": ids[row["ref"]], "properties": row["properties"], "associations": links}
        objects.setdefault(row["type"], []).append(entry)
    return {"owners": rows["owners"], "objects": objects}


def distinct(company: Company, address: str) -> int:
    """How many different Message-IDs a mailbox holds."""
    heads = (BytesHeaderParser().parsebytes(m.raw) for m in company.messages() if m.mailbox == address)
    return len({email.utils.unquote(str(h["Message-ID"])) for h in heads if h["Message-ID"]})
