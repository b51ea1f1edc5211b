"""A tracer that keeps its spans: what OpenTelemetry would be told, without installing more than its interface."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace


class Kept(trace.NonRecordingSpan):
    """A span that keeps what it is told."""

    def __init__(self, name: str, parent: trace.SpanContext) -> None:
        super().__init__(parent)
        self.name, self.told, self.is_error = name, dict[str, Any](), False

    def is_recording(self) -> bool:
        return True

    def update_name(self, name: str) -> None:
        self.name = name

    def set_attributes(self, attributes: Any) -> None:
        self.told |= attributes

    def set_status(self, status: Any, description: str | None = None) -> None:
        self.is_error = status is trace.StatusCode.ERROR


class Tracer(trace.NoOpTracer):
    def __init__(self) -> None:
        self.spans: list[Kept] = []

    @contextmanager
    def start_as_current_span(self, name: str, context: Any = None, *_: Any, **__: Any) -> Iterator[Kept]:
        self.spans.append(Kept(name, trace.get_current_span(context).get_span_context()))
        yield self.spans[-1]
