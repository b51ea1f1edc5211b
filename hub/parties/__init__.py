"""What all tools together say of a party: its fields, each with its source, and its permissions.

`fields` reads and judges statements by the rules of the configuration; `consent` folds permissions, where a refusal
stands until the person lifts it. Nothing here writes to a tool: hub.outbox does, by these answers.
"""

from hub.parties.consent import Standing, history, opted_out, outlive, standing, stay, tell
from hub.parties.fields import DERIVED, Rules, choose, load, rule_of, shown
from hub.parties.survive import Base, Rule, Said, Survivor, Verdict, decide, survive

__all__ = [
    "DERIVED", "Base", "Rule", "Rules", "Said", "Standing", "Survivor", "Verdict", "choose", "decide", "history", "load",
    "opted_out", "outlive", "rule_of", "shown", "standing", "stay", "survive", "tell",
]  # fmt: skip
