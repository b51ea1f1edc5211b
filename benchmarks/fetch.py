"""Fetch and decode only, the least any pipeline does: `python -m benchmarks.fetch KIND URL N`.

The same pages as the connector reads, over httpx, each decoded once with msgspec, nothing kept.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator

import httpx
import msgspec

from benchmarks import data
from benchmarks.desk import PAGE_SIZE, PATH
from benchmarks.measure import peak_mb

TOKEN = "bench-token"
BATCH = 100


async def desk(client: httpx.AsyncClient, total: int) -> AsyncIterator[int]:
    for first in range(0, total, PAGE_SIZE):
        answer = await client.get("/" + PATH, params={"cursor": first})
        yield len(msgspec.json.decode(answer.content)["tickets"])


async def hubspot(client: httpx.AsyncClient, total: int) -> AsyncIterator[int]:
    from hub_hubspot.objects import OBJECTS

    kind = OBJECTS["contacts"]
    params = {
        "limit": "100", "properties": ",".join((*kind.properties, "ihub_key")), "associations": ",".join(kind.links),
    }  # fmt: skip
    client.headers["authorization"] = f"Bearer {TOKEN}"
    while True:
        page = msgspec.json.decode((await client.get("/crm/v3/objects/contacts", params=params)).content)
        yield len(page["results"])
        if "paging" not in page:
            return
        params["after"] = page["paging"]["next"]["after"]


async def gmail(client: httpx.AsyncClient, total: int) -> AsyncIterator[int]:
    form = {"grant_type": "refresh_token", "refresh_token": f"1//refresh-{data.MAILBOX}", "client_id": "bench"}
    token = (await client.post("/token", data={**form, "client_secret": "bench"})).json()["access_token"]
    client.headers["authorization"] = f"Bearer {token}"
    params = {"maxResults": "500"}
    head = {"content-type": "multipart/mixed; boundary=b"}
    while True:
        listing = msgspec.json.decode((await client.get("/gmail/v1/users/me/messages", params=params)).content)
        ids = [m["id"] for m in listing["messages"]]
        for first in range(0, len(ids), BATCH):
            calls = "".join(
                f"--b\r\nContent-Type: application/http\r\n\r\nGET /gmail/v1/users/me/messages/{i}?format=full\r\n\r\n"
                for i in ids[first : first + BATCH]
            )
            answer = await client.post("/batch/gmail/v1", content=calls + "--b--", headers=head)
            yield sum(1 for part in parts(answer.content) if "payload" in msgspec.json.decode(part))
        if "nextPageToken" not in listing:
            return
        params["pageToken"] = listing["nextPageToken"]


def parts(body: bytes) -> list[bytes]:
    """The JSON of each part of a batch answer."""
    mark = body[: body.index(b"\r\n")]
    return [part.split(b"\r\n\r\n", 2)[2] for part in body.split(mark)[1:-1]]


async def count(kind: str, url: str, total: int) -> int:
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:
        pages = {"desk": desk, "gmail": gmail, "hubspot": hubspot}[kind](client, total)
        return sum([n async for n in pages])


def main() -> None:
    kind, url, total = sys.argv[1], sys.argv[2], int(sys.argv[3])
    cpu = time.process_time()
    found = asyncio.run(count(kind, url, total))
    if found != total:
        raise RuntimeError(f"{found} of {total} records came")
    print(json.dumps({"records": total, "cpu_s": time.process_time() - cpu, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
