"""An honest OpenID Connect provider on loopback, as far as the code flow with PKCE needs one, and its nasty modes.

Written from OpenID Connect Core 1.0, Discovery 1.0, RFC 6749, 7636 and 9207. It signs with RS256 and rotates its keys.
"""

import base64
import hashlib
import hmac
import json
import secrets
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from hub.api import Clock
from hub.testing import Emulator

CLIENT, SECRET = "hub-client", "secret of: the/hub"


class OidcProvider(Emulator):
    """user: the claims of whoever sits at the browser. nasty: what it does wrong, by name (see the code).

    more: claims that overrule those of an ID token; none: claims that are left out of it.
    """

    name = "oidc"

    def __init__(self, clock: Clock, redirect_uri: str) -> None:
        super().__init__()
        self.clock = clock
        self.redirect_uri = redirect_uri
        self.issuer = ""
        self.user: dict[str, Any] = {
            "sub": "248289761001", "email": "ana@ourco.example", "email_verified": True, "name": "Ana Silva",
            "groups": ["sales", "everyone"],
        }  # fmt: skip
        self.nasty: set[str] = set()
        self.more: dict[str, Any] = {}
        self.none: set[str] = set()
        self.auth_method = "client_secret_basic"
        self.codes: dict[str, dict[str, str]] = {}
        self.keys = [_key("one")]
        self.counted = {"jwks": 0, "discovery": 0}
        self.last: dict[str, str] = {}

    def rotate(self, kid: str) -> None:
        """Sign with a new key; the old one is gone from the list."""
        self.keys = [_key(kid)]

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/.well-known/openid-configuration", self._discovery),
            Route("/jwks", self._jwks),
            Route("/authorize", self._authorize),
            Route("/token", self._token, methods=["POST"]),
            Route("/userinfo", self._userinfo),
        ]

    async def _discovery(self, request: Request) -> Response:
        self.counted["discovery"] += 1
        about = {
            "issuer": f"{self.issuer}/other" if "discovery-issuer" in self.nasty else self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize", "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks", "userinfo_endpoint": f"{self.issuer}/userinfo",
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"], "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": [self.auth_method],
            "authorization_response_iss_parameter_supported": "no-iss-said" not in self.nasty,
        }  # fmt: skip
        if "plain-http" in self.nasty:
            about["authorization_endpoint"] = "http://login.provider.example/authorize"
        return JSONResponse(about)

    async def _jwks(self, request: Request) -> Response:
        self.counted["jwks"] += 1
        found = [key.as_dict(private=False) for key in self.keys]
        return JSONResponse({"keys": [*found, {"kty": "oct", "kid": "shared", "k": "c2hhcmVk"}]})

    async def _authorize(self, request: Request) -> Response:
        """As if the person had signed in and agreed. Refuses what a real one refuses."""
        asked = dict(request.query_params)
        self.last = asked
        if asked.get("client_id") != CLIENT or asked.get("redirect_uri") != self.redirect_uri:
            return JSONResponse(
                {"error": "unauthorized_client"}, 400
            )  # never a redirect to an address it does not know
        back = {"state": asked.get("state", "")}
        if "no-iss" not in self.nasty:
            back["iss"] = f"{self.issuer}/other" if "mix-up" in self.nasty else self.issuer
        if asked.get("response_type") != "code" or "openid" not in asked.get("scope", "").split():
            return RedirectResponse(f"{self.redirect_uri}?{urlencode({**back, 'error': 'invalid_request'})}", 302)
        if asked.get("code_challenge_method") != "S256" or len(asked.get("code_challenge", "")) != 43:
            return RedirectResponse(f"{self.redirect_uri}?{urlencode({**back, 'error': 'invalid_request'})}", 302)
        if "denied" in self.nasty:
            return RedirectResponse(f"{self.redirect_uri}?{urlencode({**back, 'error': 'access_denied'})}", 302)
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return RedirectResponse(f"{self.redirect_uri}?{urlencode({**back, 'code': code})}", 302)

    async def _token(self, request: Request) -> Response:
        form = _form(await request.body())
        if not self._is_client(request, form):
            return JSONResponse({"error": "invalid_client"}, 401)
        asked = self.codes.pop(form.get("code", ""), None)
        if (
            asked is None
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != self.redirect_uri
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        challenge = _b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if challenge != asked["code_challenge"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        access = "access-" + secrets.token_urlsafe(8)
        given = {"access_token": access, "token_type": "Bearer", "expires_in": 300}
        if "no-id-token" not in self.nasty:
            given["id_token"] = self._id_token(asked, access)
        return JSONResponse(given)

    def _is_client(self, request: Request, form: dict[str, str]) -> bool:
        if self.auth_method == "client_secret_post":
            return (form.get("client_id"), form.get("client_secret")) == (CLIENT, SECRET)
        pair = f"{CLIENT}:secret+of%3A+the%2Fhub"  # form-encoded first: RFC 6749, 2.3.1
        return request.headers.get("authorization") == "Basic " + base64.b64encode(pair.encode()).decode()

    async def _userinfo(self, request: Request) -> Response:
        if not request.headers.get("authorization", "").startswith("Bearer access-"):
            return JSONResponse({}, 401)
        return JSONResponse({**self.user, **({"sub": "somebody else"} if "userinfo-sub" in self.nasty else {})})

    def _id_token(self, asked: dict[str, str], access: str) -> str:
        now = int(self.clock.now().timestamp())
        half = hashlib.sha256((access + ("x" if "at-hash" in self.nasty else "")).encode()).digest()[:16]
        claims = {
            "iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked.get("nonce"), "auth_time": now,
            "at_hash": _b64(half), **self.user, **self.more,
        }  # fmt: skip
        claims = {k: v for k, v in claims.items() if k not in self.none}
        head = {"alg": "RS256", "kid": self.keys[0].kid}
        if "alg-none" in self.nasty:
            return _unsigned({"alg": "none"}, claims) + "."
        if "hs256" in self.nasty:  # signed with what everybody knows: the public key
            start = _unsigned({"alg": "HS256", "kid": self.keys[0].kid}, claims)
            return f"{start}.{_b64(hmac.digest(self.keys[0].as_pem(private=False), start.encode(), hashlib.sha256))}"
        if "forged" in self.nasty:
            return jwt.encode(head, claims, _key(self.keys[0].kid, "evil"), algorithms=["RS256"])
        if "unknown-key" in self.nasty:
            return jwt.encode({**head, "kid": "nobody's"}, claims, _key("x"), algorithms=["RS256"])
        if "garbage" in self.nasty:
            return "not.a.token"
        return jwt.encode(head, claims, self.keys[0], algorithms=["RS256"])


@cache
def _key(kid: str, owner: str = "provider") -> RSAKey:
    """Made once in a process: it takes longer than most tests."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"})


def _form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode(), keep_blank_values=True))


def _unsigned(head: dict[str, Any], claims: dict[str, Any]) -> str:
    return ".".join(_b64(json.dumps(part).encode()) for part in (head, claims))


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
