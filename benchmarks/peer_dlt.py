"""dlt, load only: `HUB_PEER_PYTHON benchmarks/peer_dlt.py KIND URL N FOLDER`.

Its best case as measured among destinations and file formats: merge, parquet, DuckDB, no child tables. Runs in the
peer's own interpreter, so it imports nothing of ours.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")

import dlt  # type: ignore[import-not-found]
from dlt.sources.helpers import requests  # type: ignore[import-not-found]
from dlt.sources.rest_api import rest_api_source  # type: ignore[import-not-found]

BATCH = 100
CONTACTS = (
    "email,hs_additional_emails,firstname,lastname,phone,mobilephone,jobtitle,company,lifecyclestage,hubspot_owner_id,"
    "associatedcompanyid,hs_merged_object_ids,ihub_key"
)


def rest(url: str, name: str, endpoint: dict[str, Any], headers: dict[str, str]) -> Any:
    return rest_api_source({
        "client": {"base_url": url + "/", "headers": headers},
        "resource_defaults": {"primary_key": "id", "write_disposition": "merge", "max_table_nesting": 0},
        "resources": [{"name": name, "endpoint": endpoint}],
    })  # fmt: skip


def desk(url: str) -> Any:
    endpoint = {
        "path": "api/v2/incremental/tickets/cursor.json", "data_selector": "tickets",
        "paginator": {
            "type": "cursor", "cursor_path": "after_cursor", "cursor_param": "cursor", "has_more_path": "has_more",
        },
    }  # fmt: skip
    return rest(url, "tickets", endpoint, {})


def hubspot(url: str) -> Any:
    endpoint = {
        "path": "crm/v3/objects/contacts", "data_selector": "results",
        "params": {"limit": 100, "properties": CONTACTS, "associations": "companies"},
        "paginator": {"type": "cursor", "cursor_path": "paging.next.after", "cursor_param": "after"},
    }  # fmt: skip
    return rest(url, "contacts", endpoint, {"authorization": "Bearer bench-token"})


def gmail(url: str) -> Any:
    """The batch end point, which the generic source does not speak, as a resource of its own."""

    @dlt.resource(name="messages", primary_key="id", write_disposition="merge", max_table_nesting=0)  # type: ignore[untyped-decorator]
    def messages() -> Iterator[list[dict[str, Any]]]:
        session = requests.Client().session
        form = {
            "grant_type": "refresh_token", "refresh_token": "1//refresh-agent@acme.example", "client_id": "bench",
            "client_secret": "bench",
        }  # fmt: skip
        token = session.post(url + "/token", data=form).json()["access_token"]
        session.headers["authorization"] = f"Bearer {token}"
        params = {"maxResults": "500"}
        while True:
            listing = session.get(url + "/gmail/v1/users/me/messages", params=params).json()
            ids = [m["id"] for m in listing["messages"]]
            for first in range(0, len(ids), BATCH):
                yield batch(session, url, ids[first : first + BATCH])
            if "nextPageToken" not in listing:
                return
            params["pageToken"] = listing["nextPageToken"]

    return messages


def batch(session: Any, url: str, ids: list[str]) -> list[dict[str, Any]]:
    calls = "".join(
        f"--b\r\nContent-Type: application/http\r\n\r\nGET /gmail/v1/users/me/messages/{i}?format=full\r\n\r\n"
        for i in ids
    )
    head = {"content-type": "multipart/mixed; boundary=b"}
    body = session.post(url + "/batch/gmail/v1", data=calls + "--b--", headers=head).content
    mark = body[: body.index(b"\r\n")]
    return [json.loads(part.split(b"\r\n\r\n", 2)[2]) for part in body.split(mark)[1:-1]]


def main() -> None:
    kind, url, total, folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    cpu = time.process_time()
    pipeline = dlt.pipeline(
        f"bench_{kind}_{os.getpid()}", destination=dlt.destinations.duckdb(f"{folder}/peer.duckdb"),
        dataset_name=f"bench_{kind}", pipelines_dir=f"{folder}/dlt",
    )  # fmt: skip
    pipeline.run({"desk": desk, "hubspot": hubspot, "gmail": gmail}[kind](url), loader_file_format="parquet")
    rows = pipeline.last_trace.last_normalize_info.row_counts
    found = max(rows.get(name, 0) for name in ("tickets", "contacts", "messages"))
    if found != total:
        raise RuntimeError(f"{found} of {total} records came: {rows}")
    print(json.dumps({"records": total, "cpu_s": time.process_time() - cpu}))


if __name__ == "__main__":
    main()
