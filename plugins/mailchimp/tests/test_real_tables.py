"""A loader's tables of a real account, put into the stand-in and read back: every count must come out."""

import csv
import io
import json
import tarfile
from collections import Counter
from typing import Any

import pytest

from hub.api import Consent, Interaction, Person, Unmapped
from hub.testing import shared_path

pytestmark = [pytest.mark.anyio, pytest.mark.real_data]
FOLDER = "fivetran-dbt_mailchimp/"


@pytest.fixture(scope="module")
def tables() -> dict[str, list[dict[str, str]]]:
    archive = shared_path("data/crm/vendor-table-seeds-dev.tar.gz")
    if archive is None:
        pytest.skip("the real tables are not beside the checkout")
    found = {}
    with tarfile.open(archive) as tar:
        for entry in tar.getmembers():
            if FOLDER in entry.name and entry.name.endswith(".csv"):
                stream = tar.extractfile(entry)
                assert stream is not None
                name = entry.name.rpartition("/")[2].removesuffix(".csv")
                found[name] = list(csv.DictReader(io.TextIOWrapper(stream, "utf-8")))
    return found


def test_the_tables_are_those_of_the_facts(tables: dict[str, Any]) -> None:
    path = shared_path("data/crm/FACTS.json")
    assert path is not None
    facts = json.loads(path.read_text())["vendor-table-seeds"]["fivetran/dbt_mailchimp"]
    assert {f"{name}.csv": len(rows) for name, rows in tables.items()} == facts


async def test_every_row_comes_out_again(account: Any, tables: dict[str, list[dict[str, str]]]) -> None:
    taken = account.emulator.load(tables)
    left_out = {name for name, rows in tables.items() if taken[name] != len(rows)}
    assert left_out == {"segment", "segment_member"}, "a segment's members are in no member table"
    connector = account.connect(page_size=10)
    found: dict[str, dict[str, Any]] = {}
    for stream in ("audiences", "members", "campaigns", "sends", "activity", "unsubscribes"):
        found[stream] = (await account.read(connector, stream))[0]
    events = [
        (r.get("campaign_id") or r["automation_email_id"], r["member_id"], r["action"], r["timestamp"], r["url"])
        for table in ("campaign_recipient_activity", "automation_recipient_activity")
        for r in tables[table]
    ]
    assert len(found["audiences"]) == len(tables["list"])
    assert len(found["members"]) == len(tables["member"])
    assert len(found["campaigns"]) == len(tables["campaign"])
    assert len(found["sends"]) == len(tables["campaign_recipient"]) + len(tables["automation_recipient"])
    assert len(found["activity"]) == len(set(events))
    assert len(found["unsubscribes"]) == len(tables["unsubscribe"])
    mapped = {s: [e for r in records.values() for e in connector.to_canonical(s, r)] for s, records in found.items()}
    people = [e for e in mapped["members"] if isinstance(e, Person)]
    assert Counter(p.fields["email_status"] for p in people) == Counter(r["status"] for r in tables["member"])
    out = [
        e for s in ("members", "unsubscribes") for e in mapped[s] if isinstance(e, Consent) and e.state == "opted_out"
    ]
    assert len(out) == sum(r["status"] == "unsubscribed" for r in tables["member"]) + len(tables["unsubscribe"])
    sends = Counter(type(e) for e in mapped["sends"])
    assert sends == {Interaction: len(tables["campaign_recipient"]), Unmapped: len(tables["automation_recipient"])}
    actions = Counter(e.kind for e in mapped["activity"] if isinstance(e, Interaction))
    assert actions == Counter(action for _, _, action, _, _ in set(events))
    opens = [e for e in mapped["activity"] if isinstance(e, Interaction) and e.kind == "open"]
    assert all("uncertain" in e.signals for e in opens)
    assert any("proxy" in e.signals for e in opens), "this account's readers sit behind a picture proxy"
