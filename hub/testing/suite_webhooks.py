"""The clause about webhooks (W8): who rings, and what happens when the bell is broken."""

import random
from collections.abc import Iterable
from typing import Any

from hub.api import Connector, Notice, WebhookRejected, WebhookRequest
from hub.testing.suite_bench import Bench, Broken
from hub.testing.suite_driver import Landed

DAY_S = 86_400


async def webhooks(b: Bench) -> None:
    """W8."""
    ids = b.rig.populate(20)
    b.rig.webhooks()
    connector = b.connect()
    landed = Landed(b.stream)
    await landed.pull(connector)
    b.wait()
    b.rig.change(ids[0])
    genuine = b.rig.webhooks()
    b.need(genuine, "the rig gives no webhook for a changed record")
    for request in genuine:
        connector.verify_webhook(request)
        _rejects_changed(b, connector, request)
    for request in b.rig.forged():
        _rejects(connector, request, "a forged call")
    if not b.skips("replay"):
        b.clock.advance(DAY_S)
        for request in genuine:
            _rejects(connector, request, "a call replayed a day later")
            _rejects_stripped(b, connector, request)
    await landed.pull(connector)
    await _broken_bell(b, landed, ids)


def _rejects_changed(b: Bench, connector: Connector[Any], request: WebhookRequest) -> None:
    """One character more or less anywhere, and the call is not the vendor's."""
    bare = {k: v for k, v in request.headers.items() if k in {"content-type", "user-agent", "content-length"}}
    _rejects(connector, _with(request, headers=bare), "an unsigned call")
    for name, value in request.headers.items():
        if name in bare or len(value) < 8:
            continue
        flipped = value[:-2] + ("A" if value[-2] != "A" else "B") + value[-1]
        cut = {k: v for k, v in request.headers.items() if k != name}
        if not _accepts(connector, _with(request, headers=cut)):  # it matters: then its content must matter too
            _rejects(connector, _with(request, headers={**cut, name: flipped}), f"a call with another {name}")
    if not b.skips("tampered-body"):
        changed = request.body.replace(b"1", b"2") if b"1" in request.body else request.body + b" "
        _rejects(connector, _with(request, body=changed), "a call with another body")
        _rejects(connector, _with(request, body=b""), "a call without its body")


def _rejects_stripped(b: Bench, connector: Connector[Any], request: WebhookRequest) -> None:
    """A replay must not get in by leaving out the header that would give it away."""
    for name in request.headers:
        kept = {k: v for k, v in request.headers.items() if k != name}
        if _accepts(connector, _with(request, headers=kept)):
            b.concede("downgrade", f"a call replayed a day later without its {name} was accepted")


def _with(request: WebhookRequest, **changed: object) -> WebhookRequest:
    given = {"method": request.method, "url": request.url, "headers": request.headers, "body": request.body, **changed}
    return WebhookRequest(**given)  # type: ignore[arg-type]


def _accepts(connector: Connector[Any], request: WebhookRequest) -> bool:
    try:
        connector.verify_webhook(request)
    except WebhookRejected:
        return False
    return True


def _rejects(connector: Connector[Any], request: WebhookRequest, what: str) -> None:
    if _accepts(connector, request):
        raise Broken(f"{what} was accepted")


async def _broken_bell(b: Bench, landed: Landed, ids: list[str]) -> None:
    """One call in five is lost, one in five comes twice, all come in any order: the next poll makes it whole."""
    rng = random.Random(8)  # noqa: S311 - a repeatable shuffle, not a secret
    calls: list[WebhookRequest] = []
    for external_id in ids[1:11]:
        b.clock.advance(1)
        b.rig.change(external_id)
        calls += b.rig.webhooks()
    b.rig.add()
    calls += b.rig.webhooks()
    kept = [c for n, c in enumerate(calls) if n % 5 != 2]
    kept += kept[::5]
    rng.shuffle(kept)
    connector = b.connect()
    rung: set[str] = set()
    for call in kept:
        connector.verify_webhook(call)
        first, again = list(connector.parse_webhook(call)), list(connector.parse_webhook(call))
        b.need(first == again, "the same call gives other notices the second time: it cannot be told from a new one")
        for notice in _new(b, first, rung):
            if notice.external_id:
                await landed.refetch(connector, [notice.external_id])
            else:
                await landed.pull(connector)
    b.need(rung, "no call named a stream to look at again")
    b.wait()
    await landed.pull(connector)
    await b.agree_with_fresh(landed, "calls lost, doubled and shuffled, then one poll")


def _new(b: Bench, notices: Iterable[Notice], rung: set[str]) -> Iterable[Notice]:
    streams = {s.name for s in b.manifest.streams}
    for number, notice in enumerate(notices):
        b.need(notice.stream in streams, f"a notice for {notice.stream}, which is no stream")
        name = notice.dedup_id or f"{notice.stream}/{notice.external_id}/{number}"
        if name not in rung or not notice.dedup_id:
            rung.add(name)
            if notice.stream == b.stream:
                yield notice
