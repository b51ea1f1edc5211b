"""A span for each request where OpenTelemetry listens: the route, and nothing of what was asked."""

import pytest
from callers import KAY, Site
from databases import on_sqlite
from spans import Tracer

from hub.rest import tracing


@on_sqlite
def test_a_span_says_the_route_and_nothing_of_what_was_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    tracer = Tracer()
    monkeypatch.setattr(tracing.trace, "get_tracer", lambda _: tracer)
    party = site.get(f"/parties?q={KAY}").json()["parties"][0]["public_id"]
    above = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    site.get(f"/parties/{party}/timeline?channel=secret", headers=above)
    site.get("/nothing")
    monkeypatch.setattr(site.app.state.engine, "clock", None)  # what nobody thought of
    assert site.get("/health").headers["cache-control"] == "no-store"
    names = [s.name for s in tracer.spans]
    assert names == ["GET /api/v1/parties", "GET /api/v1/parties/{public_id}/timeline", "GET", "GET /api/v1/health"]
    assert [s.told["http.response.status_code"] for s in tracer.spans] == [200, 200, 404, 500]
    assert [s.is_error for s in tracer.spans] == [False, False, False, True]
    assert tracer.spans[1].get_span_context().trace_id == 0x0AF7651916CD43DD8448EB211C80319C
    told = str([(s.name, s.told) for s in tracer.spans])
    assert KAY not in told
    assert party not in told
    assert "secret" not in told
