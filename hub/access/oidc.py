"""Signing in through an OpenID Connect provider: authorization code with PKCE, checked as OpenID Connect Core 3.1.3.7 says.

The state belongs to one browser, works once and lasts ten minutes. An account is the provider's (issuer, subject) and never
just an address: who controls an address at some provider does not get the account of the same address here, unless the
settings say `link_by_email`. Needs authlib (the extra `web`); nothing else of the room imports this.
"""

import asyncio
import logging
from base64 import b64encode
from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode, urlsplit

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.access import accounts, roles, sessions
from hub.access.accounts import Account
from hub.access.errors import Invalid, SignInRefused
from hub.access.keys import hashed, new_secret
from hub.access.ledger import note
from hub.access.signing import Door, SignedIn, inside
from hub.api import Http, HttpProfile, HubError, Manifest, Services, Transient
from hub.store import micros
from hub.store.tables_access import account_link, oidc_state, session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = logging.getLogger("hub.access")
STATE_LASTS = timedelta(minutes=10)
KEYS_LAST, KEYS_AGAIN = timedelta(hours=1), timedelta(seconds=30)
LEEWAY = timedelta(seconds=60)
UNKNOWN = "unknown-state"
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True)
class Provider:
    """One provider, as the settings name it.

    issuer: as its discovery document gives it. groups: the claim that lists somebody's groups; roles: group -> roles here,
    applied at each sign-in, so that the provider has the last word; without any, roles are given here. default_roles: of
    those whom no group gives one; none: they are not let in. creates: an account for whoever has none. link_by_email: the
    first sign-in takes the account of the same address. trusts_email: the provider does not say `email_verified`, and
    gives addresses of its own people alone.
    """

    name: str
    title: str
    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    groups: str = "groups"
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    default_roles: tuple[str, ...] = ()
    creates: bool = True
    link_by_email: bool = False
    trusts_email: bool = False
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256")


class _Refused(Exception):
    """Why nobody is let in. reason: a word for the ledger; message: for the person."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.message = message


class Oidc:
    """Sign-in through one provider; keep it, it remembers the provider's keys. transport: for tests."""

    def __init__(self, door: Door, provider: Provider, services: Services | None = None) -> None:
        self.door = door
        self.provider = provider
        self._services = services or Services(clock=door.clock)
        self._about: tuple[datetime, dict[str, Any]] | None = None
        self._keys: tuple[datetime, Any] | None = None
        self._fetching = asyncio.Lock()

    async def start(self, cookie: str, redirect_uri: str, return_to: str = "/", *, is_proof: bool = False) -> str:
        """Where to send the browser. cookie: its session, signed in or not; is_proof: somebody signed in signs in again.

        Raises SignInRefused for a cookie that stands for nothing, and while the provider cannot be reached.
        """
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        visit = await asyncio.to_thread(self.door.visit, cookie)
        if visit is None or (is_proof and visit.account is None):
            raise SignInRefused("this page has been open for too long: load it again")
        try:
            about = await self._discovered()
        except (_Refused, HubError) as exc:
            raise self._told(exc) from exc
        state, nonce, verifier = new_secret(), new_secret(), new_secret()
        now = self.door.now()
        row = {
            "hash": hashed(state), "session_hash": hashed(cookie), "provider": self.provider.name, "nonce": nonce,
            "verifier": verifier, "redirect_uri": redirect_uri, "return_to": inside(return_to), "is_proof": is_proof,
            "created_at": micros(now), "expires_at": micros(now + STATE_LASTS),
        }  # fmt: skip
        await asyncio.to_thread(self._keep, row)
        again = {"prompt": "login", "max_age": "0"} if is_proof else {}
        return str(prepare_grant_uri(
            about["authorization_endpoint"], self.provider.client_id, "code", redirect_uri, " ".join(self.provider.scopes),
            state, nonce=nonce, code_challenge=create_s256_code_challenge(verifier), code_challenge_method="S256", **again,
        ))  # fmt: skip

    async def finish(
        self, cookie: str, answer: Mapping[str, str], *, address: str = "", agent: str = ""
    ) -> tuple[SignedIn, str]:
        """(the session, where to go on), from what the browser brought back. After a proof the session goes on, under a new id.

        Raises SignInRefused, with a reason for the person where they can do something about it.
        """
        try:
            row = await asyncio.to_thread(self._take, cookie, answer.get("state", ""))
            claims = await self._claims(answer, row)
            return await asyncio.to_thread(self._let_in, claims, row, cookie, address, agent), row.return_to
        except (_Refused, HubError) as exc:
            reason = exc.reason if isinstance(exc, _Refused) else type(exc).__name__
            if reason != UNKNOWN:  # anybody can bring one of those, as often as they like
                await asyncio.to_thread(self._note_refusal, reason, address)
            raise self._told(exc) from exc

    def _let_in(self, claims: dict[str, Any], row: Any, cookie: str, address: str, agent: str) -> SignedIn:
        with self.door.store.write() as c:
            if row.is_proof:
                return self._proved(c, cookie, claims, row, address)
            method = f"oidc:{self.provider.name}"
            found = self._account(c, claims)
            return self.door.let_in(c, found, method, address=address, agent=agent, cookie=cookie)

    def _note_refusal(self, reason: str, address: str) -> None:
        with self.door.store.write() as c:
            more = {"provider": self.provider.name, "reason": reason}
            note(c, self.door.now(), "sign-in-refused", "", None, address, **more)

    def _keep(self, row: dict[str, Any]) -> None:
        with self.door.store.write() as c:
            c.execute(sa.insert(oidc_state).values(**row))

    # --- the answer -------------------------------------------------------------------------------------------------

    def _take(self, cookie: str, state: str) -> Any:
        """The row of a state, which works once: whoever brings it, it is gone."""
        now = self.door.now()
        with self.door.store.write() as c:
            row = c.execute(sa.select(oidc_state).where(oidc_state.c.hash == hashed(state))).first()
            taken = c.execute(sa.delete(oidc_state).where(oidc_state.c.hash == hashed(state))).rowcount
        if row is None or not taken or row.provider != self.provider.name:
            raise _Refused(UNKNOWN)
        if bytes(row.session_hash) != hashed(cookie):
            raise _Refused("another-browser")
        if row.expires_at <= micros(now):
            raise _Refused("late", "it took longer than ten minutes: try again")
        return row

    async def _claims(self, answer: Mapping[str, str], row: Any) -> dict[str, Any]:
        about = await self._discovered()
        says_issuer = about.get("authorization_response_iss_parameter_supported") is True
        if answer.get("iss", None if says_issuer else self.provider.issuer) != self.provider.issuer:
            raise _Refused("iss")  # another provider's answer, brought here (RFC 9207)
        if "error" in answer or not answer.get("code"):
            raise _Refused("provider-refused", f"{self.provider.title} did not let you in")
        given = await self._traded(about, answer["code"], row)
        claims = await self._checked(given, row.nonce)
        asked = {"email", *([self.provider.groups] if self.provider.roles else [])}
        if asked - set(claims) and about.get("userinfo_endpoint") and given.get("access_token"):
            more = await self._get(about["userinfo_endpoint"], {"authorization": f"Bearer {given['access_token']}"})
            if more.get("sub") != claims["sub"]:
                raise _Refused("userinfo")
            if "email" not in claims:  # of an address and the word on it, both come from one place
                claims.pop("email_verified", None)
            claims = {**more, **claims}
        return claims

    async def _traded(self, about: dict[str, Any], code: str, row: Any) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": row.redirect_uri, "code_verifier": row.verifier
        }  # fmt: skip
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        secret = self.provider.client_secret
        ways = about.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if secret and "client_secret_basic" in ways:
            pair = f"{quote_plus(self.provider.client_id)}:{quote_plus(secret)}"
            headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": self.provider.client_id, **({"client_secret": secret} if secret else {})}
        async with self._http(about) as http:
            given = await http.json(
                "POST", about["token_endpoint"], content=urlencode(form).encode(), headers=headers, safe=False
            )
        if not isinstance(given, dict) or not isinstance(given.get("id_token"), str):
            raise _Refused("no-id-token")
        return given

    async def _checked(self, given: dict[str, Any], nonce: str) -> dict[str, Any]:
        """The claims of the ID token: signed by the provider, for us, now, in answer to this sign-in."""
        from authlib.oidc.core import CodeIDToken
        from joserfc import jws, jwt
        from joserfc.errors import JoseError

        p = self.provider
        must = {"iss": {"essential": True, "value": p.issuer}, "aud": {"essential": True, "value": p.client_id}}
        said = {"nonce": nonce, "client_id": p.client_id, "access_token": given.get("access_token", "")}
        try:
            head = jws.extract_compact(given["id_token"].encode()).headers()
            if head.get("alg") not in p.algorithms:
                raise _Refused("alg")
            token = jwt.decode(
                given["id_token"], await self._keys_for(str(head.get("kid", ""))), algorithms=[*p.algorithms]
            )
            claims = CodeIDToken(token.claims, token.header, must, said)
            claims.validate(now=int(self.door.now().timestamp()), leeway=int(LEEWAY.total_seconds()))
        except (JoseError, ValueError, TypeError, KeyError) as exc:
            log.warning("an ID token of %s was refused: %s: %s", p.name, type(exc).__name__, exc)
            raise _Refused(f"id-token-{getattr(exc, 'claim', '') or type(exc).__name__}"[:64]) from exc
        if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= 256:
            raise _Refused("id-token-sub")
        return dict(claims)

    # --- the account ------------------------------------------------------------------------------------------------

    def _account(self, c: Connection, claims: dict[str, Any]) -> Account:
        p, now = self.provider, self.door.now()
        held = self._roles(claims)
        linked = self._linked(c, claims)
        if linked is None:
            linked = self._met(c, claims, held)
            row = {"issuer": p.issuer, "subject": claims["sub"], "account_id": linked.id, "linked_at": micros(now)}
            c.execute(sa.insert(account_link).values(**row))
            note(c, now, "account-linked", linked.public_id, linked.id, provider=p.name)
        if p.roles:
            if not held:
                raise _Refused("no-role", f"none of your groups at {p.title} has a role here: ask an admin")
            return accounts.put_roles(c, linked, held, linked.public_id, now, provider=p.name)
        return linked

    def _linked(self, c: Connection, claims: dict[str, Any]) -> Account | None:
        mine = sa.and_(account_link.c.issuer == self.provider.issuer, account_link.c.subject == claims["sub"])
        found = c.execute(sa.select(account_link.c.account_id).where(mine)).scalar()
        return None if found is None else accounts.get(c, found)

    def _met(self, c: Connection, claims: dict[str, Any], held: tuple[str, ...]) -> Account:
        """The account of somebody who comes for the first time: the one of the address, if that is allowed, or a new one."""
        p = self.provider
        verified = claims.get("email_verified", p.trusts_email)
        if verified not in (True, "true"):
            raise _Refused("email-unverified", f"{p.title} does not say that your address is yours: ask an admin")
        try:
            email = accounts.fold(str(claims.get("email", "")))
        except Invalid as exc:
            raise _Refused("email", f"{p.title} does not say your address: ask an admin") from exc
        if known := accounts.find(c, email):
            if not p.link_by_email:
                raise _Refused(
                    "not-linked",
                    f"this address has an account that is not tied to {p.title}: sign in with its password",
                )
            return known
        if not p.creates:
            raise _Refused("no-account", "you have no account here: ask an admin")
        if not held:
            raise _Refused("no-role", "nothing says what you may do here: ask an admin")
        name = str(claims.get("name") or "")[:128]
        return accounts.insert(c, email, name, held, "", self.door.now(), provider=p.name)

    def _roles(self, claims: dict[str, Any]) -> tuple[str, ...]:
        said = claims.get(self.provider.groups, [])
        groups = [said] if isinstance(said, str) else said if isinstance(said, list) else []
        given = {role for group in groups if isinstance(group, str) for role in self.provider.roles.get(group, ())}
        held = given or set(self.provider.default_roles)
        return roles.checked_roles(held) if held else ()

    def _proved(self, c: Connection, cookie: str, claims: dict[str, Any], row: Any, address: str) -> SignedIn:
        now = self.door.now()
        linked = self._linked(c, claims)
        of = c.execute(sa.select(session.c.account_id).where(session.c.hash == hashed(cookie))).scalar()
        at = claims.get("auth_time")
        is_lately = isinstance(at, int | float) and at * 1e6 >= row.created_at - LEEWAY.total_seconds() * 1e6
        if linked is None or linked.id != of or not linked.is_active:
            raise _Refused("somebody-else", "that was another account")
        if not is_lately:
            raise _Refused("auth-time", f"{self.provider.title} did not ask you to sign in again")
        note(c, now, "proof", linked.public_id, linked.id, address, method=f"oidc:{self.provider.name}")
        return SignedIn(sessions.prove(c, cookie, now), linked)

    # --- the provider -----------------------------------------------------------------------------------------------

    async def _discovered(self) -> dict[str, Any]:
        """Its discovery document, at most an hour old."""
        async with self._fetching:
            now = self.door.now()
            if self._about is None or now - self._about[0] >= KEYS_LAST:
                about = await self._get(f"{self.provider.issuer.rstrip('/')}/.well-known/openid-configuration")
                if about.get("issuer") != self.provider.issuer:
                    raise _Refused("discovery-issuer")
                for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                    _must_be_safe(about.get(name))
                self._about = (now, about)
            return self._about[1]

    async def _keys_for(self, kid: str) -> Any:
        """Its keys; fetched again for one that is not among them, but not for every forged token."""
        about = await self._discovered()
        async with self._fetching:
            now = self.door.now()
            age = None if self._keys is None else now - self._keys[0]
            is_known = self._keys is not None and (not kid or any(k.kid == kid for k in self._keys[1].keys))
            if age is None or age >= KEYS_LAST or (not is_known and age >= KEYS_AGAIN):
                from joserfc.jwk import KeySet

                given = await self._get(about["jwks_uri"])
                usable = [k for k in given.get("keys", []) if isinstance(k, dict) and _is_usable(k)]
                self._keys = (now, KeySet.import_key_set({"keys": usable}))
            assert self._keys is not None
            return self._keys[1]

    async def _get(self, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        async with self._http(self._about[1] if self._about else {}) as http:
            found = await http.json("GET", url, headers=headers)
        if not isinstance(found, dict):
            raise _Refused("provider-answer")
        return found

    @asynccontextmanager
    async def _http(self, about: dict[str, Any]) -> "AsyncIterator[Http]":
        """The hub's one client, allowed to call the hosts that the provider names as its own."""
        named = ("token_endpoint", "jwks_uri", "userinfo_endpoint")
        hosts = {urlsplit(str(about[n])).hostname or "" for n in named if about.get(n)} - {""}
        manifest = Manifest(
            name="sign-in", title=self.provider.title, channels=(), streams=(), hosts=tuple(sorted(hosts))
        )
        base = f"{self.provider.issuer.rstrip('/')}/"
        profile = HttpProfile(base_url=base, timeout_s=10.0, deadline_s=15.0, attempts=2, max_body_bytes=2**20)
        http = Http(profile, manifest, self._services)
        try:
            yield http
        finally:
            await http.aclose()

    def _told(self, exc: Exception) -> SignInRefused:
        if isinstance(exc, SignInRefused):
            return exc
        title = self.provider.title
        if isinstance(exc, Transient):
            return SignInRefused(f"{title} cannot be reached right now: try again in a minute")
        said = exc.message if isinstance(exc, _Refused) else ""
        return SignInRefused(said or f"the sign-in at {title} did not work: try again")


def _is_usable(key: dict[str, Any]) -> bool:
    """For a signature that only the provider can make: no shared secrets, no keys for something else."""
    return key.get("kty") in {"RSA", "EC"} and key.get("use", "sig") == "sig"


def _must_be_safe(url: Any) -> None:
    """An address of the provider's that a browser or we go to. Raises _Refused."""
    parts = urlsplit(url) if isinstance(url, str) else None
    is_safe = parts is not None and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    )
    if parts is None or not is_safe or not parts.hostname or parts.username is not None:
        raise _Refused("discovery-address")
