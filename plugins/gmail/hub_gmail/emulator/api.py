"""The table of methods and the way of one call: sign-in, scope, quota, faults, handler.

Paths, scopes and query parameters are those of the discovery document (a test compares them).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from hub_gmail.emulator import reads, writes
from hub_gmail.emulator.call import Call, Handler, json_body
from hub_gmail.emulator.errors import (
    Answer,
    Refused,
    forbidden,
    insufficient_scope,
    invalid,
    login_required,
    malformed,
    unauthenticated,
)  # fmt: skip
from hub_gmail.emulator.multipart import split
from hub_gmail.emulator.oauth import Token, short

if TYPE_CHECKING:
    from hub_gmail.emulator import GmailEmulator

COMMON_PARAMS = frozenset({
    "$.xgafv", "access_token", "alt", "callback", "fields", "key", "oauth_token", "prettyPrint", "quotaUser",
    "uploadType", "upload_protocol",
})  # fmt: skip
_PREFIX = re.compile(r"/(upload/)?gmail/v1/users/([^/]+)/(.+)")


@dataclass(frozen=True)
class Endpoint:
    """name: the discovery id without "gmail.users.". path: below users/{userId}/. scopes: short names, any one does."""

    name: str
    method: str
    path: str
    scopes: frozenset[str]
    params: frozenset[str]
    handler: Handler
    pattern: re.Pattern[str]


def _endpoint(name: str, method: str, path: str, scopes: str, handler: Handler, params: str = "") -> Endpoint:
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))
    return Endpoint(name, method, path, frozenset(scopes.split()), frozenset(params.split()), handler, pattern)


_READ = "full modify readonly"
_ANY = "full modify readonly metadata"
_COMPOSE = "full modify compose"
_PAGES = "maxResults pageToken q includeSpamTrash"

# fmt: off
ENDPOINTS = (
    _endpoint("getProfile", "GET", "profile", _ANY + " compose", reads.profile),
    _endpoint("messages.list", "GET", "messages", _ANY, reads.messages_list, _PAGES + " labelIds"),
    _endpoint("messages.get", "GET", "messages/{id}", _ANY, reads.message_get, "format metadataHeaders"),
    _endpoint("messages.attachments.get", "GET", "messages/{messageId}/attachments/{id}", _READ, reads.attachment_get),
    _endpoint("history.list", "GET", "history", _ANY, reads.history_list,
              "startHistoryId historyTypes labelId maxResults pageToken"),
    _endpoint("labels.list", "GET", "labels", _ANY + " labels", reads.labels_list),
    _endpoint("labels.get", "GET", "labels/{id}", _ANY + " labels", reads.label_get),
    _endpoint("labels.create", "POST", "labels", "full modify labels", reads.label_create),
    _endpoint("settings.sendAs.list", "GET", "settings/sendAs", _READ + " settings.basic", reads.send_as_list),
    _endpoint("settings.sendAs.get", "GET", "settings/sendAs/{sendAsEmail}", _READ + " settings.basic",
              reads.send_as_get),
    _endpoint("threads.list", "GET", "threads", _ANY, reads.threads_list, _PAGES + " labelIds"),
    _endpoint("threads.get", "GET", "threads/{id}", _ANY, reads.thread_get, "format metadataHeaders"),
    _endpoint("messages.modify", "POST", "messages/{id}/modify", "full modify", writes.modify),
    _endpoint("messages.trash", "POST", "messages/{id}/trash", "full modify", writes.trash),
    _endpoint("messages.untrash", "POST", "messages/{id}/untrash", "full modify", writes.untrash),
    _endpoint("messages.delete", "DELETE", "messages/{id}", "full", writes.delete),
    _endpoint("messages.batchModify", "POST", "messages/batchModify", "full modify", writes.batch_modify),
    _endpoint("messages.batchDelete", "POST", "messages/batchDelete", "full", writes.batch_delete),
    _endpoint("messages.insert", "POST", "messages", "full modify insert", writes.insert,
              "internalDateSource deleted"),
    _endpoint("messages.import", "POST", "messages/import", "full modify insert", writes.import_,
              "internalDateSource neverMarkSpam processForCalendar deleted"),
    _endpoint("messages.send", "POST", "messages/send", _COMPOSE + " send", writes.send),
    _endpoint("drafts.list", "GET", "drafts", _COMPOSE + " readonly", reads.drafts_list, _PAGES),
    _endpoint("drafts.get", "GET", "drafts/{id}", _COMPOSE + " readonly", writes.draft_get, "format"),
    _endpoint("drafts.create", "POST", "drafts", _COMPOSE, writes.draft_create),
    _endpoint("drafts.update", "PUT", "drafts/{id}", _COMPOSE, writes.draft_update),
    _endpoint("drafts.send", "POST", "drafts/send", _COMPOSE, writes.draft_send),
    _endpoint("drafts.delete", "DELETE", "drafts/{id}", _COMPOSE, writes.draft_delete),
    _endpoint("watch", "POST", "watch", _ANY, writes.watch),
    _endpoint("stop", "POST", "stop", _ANY, writes.stop),
)
# fmt: on
_BY_METHOD = {method: [e for e in ENDPOINTS if e.method == method] for method in ("GET", "POST", "PUT", "DELETE")}


def answer(emulator: "GmailEmulator", method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Carry out one call. target: path and query; headers: lower-case names."""
    try:
        return _carry_out(emulator, method, target, headers, body)
    except Refused as refused:
        return refused.answer()


def _carry_out(emulator: "GmailEmulator", method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
    raw_path, _, raw_query = target.partition("?")
    path = unquote(raw_path)
    whole = _PREFIX.fullmatch(path)
    endpoint, ids = _find(method, whole[3]) if whole else (None, {})
    if whole is None or endpoint is None:
        page = b"<!DOCTYPE html><title>Error 404 (Not Found)!!1</title><p><b>404.</b> That's an error."
        return Answer(404, page, "text/html; charset=UTF-8")
    token = token_of(emulator, headers, path, method)
    address, scopes = token.address, _scopes(emulator, token, path, method)
    if not scopes & endpoint.scopes:
        raise insufficient_scope()
    user = whole[2].lower()
    if user not in {"me", address}:
        raise forbidden(f"Delegation denied for {address}")
    now_s = emulator.now().timestamp()
    if fault := emulator.faults.hits("quota", path, method):
        raise emulator.quota.over(str(fault.args.get("scope", "user")), (now_s // 60 + 1) * 60)
    emulator.quota.spend(address, endpoint.name, now_s)
    query = parse_qs(raw_query, keep_blank_values=True)
    for name in query:
        if name not in endpoint.params and name not in COMMON_PARAMS:
            raise malformed(
                f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter. '
                f"Field '{name}' could not be found in request message."
            )
    fields, upload = _upload(headers, body, query) if whole[1] else (json_body(body), None)
    mailbox = emulator.mailboxes[address]
    mailbox.history.forget(int(now_s * 1000))
    call = Call(emulator, mailbox, method, path, endpoint.name, ids, query, fields, upload, scopes)
    return endpoint.handler(call)


def _find(method: str, path: str) -> tuple[Endpoint | None, Mapping[str, str]]:
    for endpoint in _BY_METHOD.get(method, ()):
        if found := endpoint.pattern.fullmatch(path):
            return endpoint, found.groupdict()
    return None, {}


def token_of(emulator: "GmailEmulator", headers: Mapping[str, str], path: str, method: str) -> Token:
    """The bearer token's meaning, sign-in faults included. Raises Refused (401)."""
    kind, _, access = headers.get("authorization", "").partition(" ")
    if not access:
        raise login_required()
    if emulator.faults.hits("expire_token", path, method):
        emulator.oauth.expire(access)
    token = emulator.oauth.lookup(access) if kind.lower() == "bearer" else None
    if token is None:
        raise unauthenticated()
    fault = emulator.faults.hits("revoke_token", path, method)
    if fault and fault.args.get("address", token.address) == token.address:
        raise unauthenticated()
    return token


def _scopes(emulator: "GmailEmulator", token: Token, path: str, method: str) -> frozenset[str]:
    """Short names of what the token may do; fault deny_scope takes one away (args scope) or everything."""
    scopes = frozenset(short(s) for s in token.scopes)
    if fault := emulator.faults.hits("deny_scope", path, method):
        return scopes - {short(str(fault.args["scope"]))} if "scope" in fault.args else frozenset()
    return scopes


def _upload(headers: Mapping[str, str], body: bytes, query: Mapping[str, list[str]]) -> tuple[dict[str, Any], bytes]:
    """(metadata, message) of an upload: uploadType media is the bare message, multipart is JSON and message."""
    way = query.get("uploadType", ["media"])[0]
    if way == "media":
        return {}, body
    if way != "multipart":
        raise invalid(f"This emulator takes uploadType media and multipart, not {way}")
    parts = split(headers.get("content-type", ""), body)
    if len(parts) != 2:
        raise invalid("A multipart upload has two parts: metadata and media")
    return json_body(parts[0].content), parts[1].content
