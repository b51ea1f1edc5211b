"""What stands behind the words of health, and what a person does about each: statuses, and causes of issues."""

from collections.abc import Mapping
from typing import Any, NamedTuple

Row = dict[str, Any]


class Advice(NamedTuple):
    """weight: "stopped" (nothing comes in until somebody acts), "attention" (somebody should look), "watch" (goes on by
    itself). means and do: a sentence each."""

    weight: str
    means: str
    do: str


WEIGHTS = ("stopped", "attention", "watch")
STATUSES = {
    "needs-reconnect": "the sign-in was refused: nothing comes in until somebody signs in again",
    "broken": "the tool answered in a way the hub does not understand, or the books do not balance: it has stopped here",
    "degraded": "part of it failed, or something waits for a person",
    "stale": "nothing came through for a day",
    "waiting-until": "the tool's limit is used up: it goes on by itself",
    "catching-up": "somebody is on it",
    "new": "it has not run yet",
    "paused": "it was let go: nothing is expected of it",
    "healthy": "the last run went through, the books balance, and nothing is known to be missing",
}
_REPORT = (
    "Report it with these words. The bookmark has not moved and nothing is lost: it is read again after an upgrade."
)
CAUSES = {
    "sign-in": Advice(
        "stopped", "The tool refuses the hub's sign-in: it was revoked, or has expired.",
        "Connect the account again, or renew the token that the settings point at; then sync now.",
    ),
    "unknown answer": Advice("stopped", "The tool answered in a shape that the connector does not know.", _REPORT),
    "bug in the connector": Advice("stopped", "The connector itself failed.", _REPORT),
    "ConfigError": Advice(
        "stopped", "A setting is wrong.", "Mend what the detail names, in the settings file; then sync now.",
    ),
    "permission": Advice(
        "attention", "One permission is missing. The other streams run on.",
        "Grant it in the tool, or leave the stream out of the connection's settings.",
    ),
    "many records vanished": Advice(
        "attention", "The tool no longer lists many records at once. Nothing was removed here.",
        "Look in the tool whether they are gone on purpose; then release the hold, or keep the records.",
    ),
    "census gap": Advice(
        "attention", "A count of the source named records that had not come through.",
        "What could be read was fetched at once. It closes when a count finds nothing missing; if it stays, report it.",
    ),
    "cursor keeps expiring": Advice(
        "attention", "The tool forgets where the hub stopped faster than it is asked.",
        "Sync this connection more often. Until then everything is listed again, once a day at most.",
    ),
    "unreachable": Advice(
        "watch", "The tool could not be reached, or was out of order.",
        "Nothing for now: each sync tries again. If it lasts for a day, look at the tool's status page.",
    ),
    "webhook-gone": Advice(
        "attention", "A receiver of webhooks says that it is gone, so nothing is sent to it.",
        "Remove the endpoint, or mend the receiver and resume it: what changed meanwhile waits in line.",
    ),
    "webhook-failing": Advice(
        "attention", "Every call to a receiver of webhooks failed for days, so nothing is sent to it.",
        "Mend the receiver and resume the endpoint: what changed meanwhile waits in line.",
    ),
    "webhook-secret": Advice(
        "attention", "The secret of a webhook endpoint cannot be read, so nothing is sent to it.",
        "Give the endpoint a new secret, or give the hub the key it was kept with; then resume it.",
    ),
}  # fmt: skip
_OTHER = Advice(
    "attention", "Something the hub has no name for went wrong.", "The detail says what. Mend it, then sync now."
)


def advised(issue: Mapping[str, Any]) -> Row:
    """An open issue as health tells it, with `weight`, `means` and `do`."""
    return {**issue, **CAUSES.get(issue["cause"], _OTHER)._asdict()}


def worst_first(issues: "list[Row]") -> list[Row]:
    """Advised issues: what stops something first, the oldest of each weight first."""
    return sorted(issues, key=lambda i: (WEIGHTS.index(i["weight"]), i["opened_at"]))
