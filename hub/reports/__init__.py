"""Read-only questions over the store: the four answers, timelines, explanations, health, figures.

In: a connection that only reads. Out: plain dicts and lists, ready for JSON; instants are aware UTC datetimes.
"""

from hub.reports.brief import brief, members
from hub.reports.catalogue import REPORTS, Answer, ask, document, listing
from hub.reports.definition import BadParameter
from hub.reports.explain import explain
from hub.reports.gaps import gaps
from hub.reports.health import health
from hub.reports.people import find
from hub.reports.quarantine import quarantine
from hub.reports.search import search
from hub.reports.seen import Seen, everything
from hub.reports.shown import page
from hub.reports.spreadsheet import csv_file
from hub.reports.summary import person as person_facts
from hub.reports.summary import state_hash, summary, top
from hub.reports.timeline import recent, timeline

__all__ = [
    "REPORTS", "Answer", "BadParameter", "Seen", "ask", "brief", "csv_file", "document", "everything", "explain", "find", "gaps", "health", "listing",
    "members", "page", "person_facts", "quarantine", "recent", "search", "state_hash", "summary", "timeline", "top",
]  # fmt: skip
