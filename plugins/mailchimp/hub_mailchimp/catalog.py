"""Audiences and campaigns: few, read whole each time, since neither has a time of its last change."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from hub.api import ContractBroken, Gone, Page, Pull, RawRecord
from hub_mailchimp.client import Client, Row, fields

# Figures that move by themselves, several times an hour, are left out.
_LEFT_OUT = {
    "audiences": ("_links", "stats", "list_rating"),
    "campaigns": ("_links", "report_summary", "delivery_status"),
}
_PATHS = {"audiences": "lists", "campaigns": "campaigns"}


class Catalog:
    """Reads one of the two."""

    def __init__(self, client: Client, stream: str) -> None:
        self.client = client
        self.path = _PATHS[stream]
        self.left_out = _LEFT_OUT[stream]

    async def pages(self, pull: Pull) -> AsyncIterator[Page]:
        """Everything, each time: what is not named any more is then asked for and gone."""
        excluded = fields("_links", *(f"{self.path}.{name}" for name in self.left_out))
        seen, params = 0, {"count": self.client.settings.page_size, "exclude_fields": excluded}
        if self.path == "campaigns":
            params |= {"status": "sent", "sort_field": "send_time", "sort_dir": "DESC"}
        while True:
            rows, total = await self.client.rows(self.path, self.path, offset=seen, **params)
            seen += len(rows)
            is_last = not rows or seen >= total
            yield Page([_record(r) for r in rows if self._is_wanted(r)], "", is_full=True, is_last=is_last, total=total)
            if is_last:
                return

    def _is_wanted(self, row: Row) -> bool:
        wanted = self.client.settings.audiences
        audience = row.get("id") if self.path == "lists" else (row.get("recipients") or {}).get("list_id")
        return not wanted or audience in wanted

    async def fetch(self, external_ids: Sequence[str]) -> list[RawRecord]:
        found = []
        for external_id in external_ids:
            try:
                row = await self.client.get(f"{self.path}/{external_id}", exclude_fields=fields(*self.left_out))
            except Gone:
                continue
            found.append(_record(row))
        return found


def _record(row: Any) -> RawRecord:
    if not isinstance(row, dict) or not isinstance(row.get("id"), str):
        raise ContractBroken("an audience or campaign came without an id")
    return RawRecord(row["id"], msgspec.json.encode(row))
