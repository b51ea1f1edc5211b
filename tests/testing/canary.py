"""A made-up tool whose every answer is full of secrets and people, and a connector that reads it."""

import base64
import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hub.api import (
    Connector,
    ConnectorSettings,
    Entity,
    HttpProfile,
    Manifest,
    OAuthRefresh,
    Page,
    Permission,
    PermissionMatrix,
    Pull,
    RawRecord,
    ScopeError,
    SecretStr,
    Stream,
    Unmapped,
)
from hub.testing import Emulator

REFRESH, ACCESS, CLIENT = "1//canary-refresh-0001", "ya29.canary-access-0002", "canary-client-secret-0003"
ANA, BEN = "ana.canary@realfirm-canary.com", "ben.canary@otherfirm-canary.com"
HASH = hashlib.md5(ANA.encode()).hexdigest()
SECRETS = (
    REFRESH,
    ACCESS,
    CLIENT,
    "canary-cookie-0004",
    "canary-api-key-0005",
    "canary-in-text-0006",
    "canary-in-link-0007",
    "eyJjYW5hcnkxIn0.e30",
)
PEOPLE = (ANA, BEN, "Anastasia Canary", "Canary", "realfirm-canary", "otherfirm-canary", "+49 171 5550007", "415550008",
          HASH, "203.0.113.77", "acmecanary", "77700099", "Kanarienweg", "sang at dawn")  # fmt: skip
KEPT = ("subscribed", "2026-03-01T10:00:00Z", '"size": 42', "rec-1", "text/plain", "Bad Request of", "remaining=7")


def b64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


ROW = {
    "id": "rec-1", "hash": HASH, "email": ANA, "status": "subscribed", "updated_at": "2026-03-01T10:00:00Z", "size": 42,
    "FNAME": "Anastasia", "full_name": "Anastasia Canary", "phone": "+49 171 5550007", "mobile": "415550008",
    "account_id": 77700099, "ip_signup": "203.0.113.77", "address": {"addr1": "Kanarienweg 3", "city": "Canaryton"},
    "subject": "Canary", "note": f"The canary sang at dawn, wrote {BEN} with canary-in-text-0006.",
    "headers": [{"name": "From", "value": f"Anastasia Canary <{ANA}>"}, {"name": "Content-Type", "value": "text/plain"},
                {"name": "Subject", "value": "Canary"}, {"name": "Authorization", "value": f"Bearer {ACCESS}"}],
    "body": {"data": b64(f"Dear {ANA}, the canary sang at dawn."), "size": 42},
    "cursor": b64(f"after|{ANA}|9"), "nested": json.dumps({"to": [{"email": BEN, "firstName": "Canary"}]}),
    "link": f"https://crm.realfirm-canary.com/u/1?email={ANA}", "api_key": "canary-api-key-0005", "note_html": "<p>Canary</p>",
    "jwt_like": "eyJjYW5hcnkxIn0.e30.c2ln", "owner": {"name": "Canary", "login": "canary"}, "tags": ["vip"],
}  # fmt: skip


class CanaryTool(Emulator):
    name = "canary"

    def routes(self) -> Sequence[Route]:
        return [
            Route("/token", self.token, methods=["POST"]), Route("/me", self.me), Route("/u/{who}", self.one),
            Route("/search", self.search, methods=["POST"]), Route("/batch", self.batch, methods=["POST"]),
            Route("/probe", self.me, methods=["PUT", "DELETE"]), Route("/bad", self.bad),
        ]  # fmt: skip

    async def token(self, request: Request) -> Response:
        return JSONResponse({"access_token": ACCESS, "refresh_token": REFRESH, "expires_in": 1800})

    async def me(self, request: Request) -> Response:
        cookie = {"set-cookie": "session=canary-cookie-0004", "x-ratelimit": "remaining=7", "x-user": ANA}
        return JSONResponse(
            {"user": {"email": ANA, "account_id": 77700099, "name": "Anastasia Canary"}}, headers=cookie
        )

    async def search(self, request: Request) -> Response:
        body = gzip.compress(
            json.dumps({"results": [ROW], "next": f"{request.url}?owner={ANA}&token=canary-in-link-0007"}).encode()
        )
        return Response(body, headers={"content-type": "application/json", "content-encoding": "gzip"})

    async def one(self, request: Request) -> Response:
        return JSONResponse(ROW)

    async def bad(self, request: Request) -> Response:
        return JSONResponse({"error": {"message": f"Bad Request of {ANA} for 77700099", "code": "BAD"}}, 400)

    async def batch(self, request: Request) -> Response:
        row = json.dumps(ROW)
        part = f"Content-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: {len(row)}\r\n\r\n{row}\r\n"
        whole = f"--edge-1\r\n{part}--edge-1--\r\n".encode()
        return Response(whole, headers={"content-type": "multipart/mixed; boundary=edge-1"})


class CanarySettings(ConnectorSettings):
    base_url: str
    mailbox: str
    subdomain: str = ""
    client_secret: SecretStr
    refresh_token: SecretStr


class Canary(Connector[CanarySettings]):
    manifest = Manifest(
        name="canary", title="Aviary", channels=("email",), streams=(Stream("birds"),), auth=("oauth",),
        vendor_api="Birds 2", hosts=(),
    )  # fmt: skip
    settings_model = CanarySettings

    def http_profile(self) -> HttpProfile:
        s = self.settings
        secret, refresh = s.client_secret.get_secret_value(), s.refresh_token.get_secret_value()
        token = OAuthRefresh("canary", f"{s.base_url}token", "canary", secret, refresh)
        return HttpProfile(base_url=s.base_url, token=token)

    async def check(self) -> PermissionMatrix:
        rows = []
        for method, path in (("GET", "me"), ("PUT", "probe"), ("DELETE", "probe")):
            try:
                await self.http.request(
                    method, path, params={"for": self.settings.mailbox, "key": "canary-api-key-0005"}
                )
            except ScopeError:
                rows.append(Permission(path, "write", False))
            else:
                rows.append(Permission(path, "read", True))
        return PermissionMatrix("canary", "canary", tuple(rows))

    async def pull(self, pull: Pull) -> AsyncIterator[Page]:
        asked = {"filter": {"email": self.settings.mailbox}, "since": self.services.clock.now().isoformat()}
        answer = await self.http.json("POST", "search", json=asked, safe=True)
        asked_for = f"GET /u/{self.settings.mailbox.replace('@', '%40')} HTTP/1.1"
        batch = f"--edge-2\r\nContent-Type: application/http\r\n\r\n{asked_for}\r\n\r\n--edge-2--\r\n".encode()
        kind = {"content-type": "multipart/mixed; boundary=edge-2"}
        whole = await self.http.request("POST", "batch", content=batch, headers=kind, safe=True)
        assert whole.body.count(b"\r\n--edge-1") == 1
        yield Page([RawRecord(answer["results"][0]["email"], b"{}")], answer["next"], is_full=True, is_last=True)
        raise AssertionError("only the first page is to be recorded")

    async def fetch(self, stream: str, external_ids: Sequence[str]) -> list[RawRecord]:
        for name in external_ids:
            await self.http.request("GET", f"u/{name}")
        await self.http.request("GET", "bad")
        return []

    def to_canonical(self, stream: str, raw: RawRecord) -> Iterator[Entity]:
        yield Unmapped(external_id=raw.external_id, reason="a bird")


def settings(url: str) -> Any:
    return CanarySettings(
        base_url=f"{url}/", mailbox=ANA, subdomain="acmecanary", client_secret=SecretStr(CLIENT),
        refresh_token=SecretStr(REFRESH),
    )  # fmt: skip
