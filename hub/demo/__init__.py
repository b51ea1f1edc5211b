"""The demo company, so that a bare install shows a working timeline.

In: a seed and the end of a window. Out: the mail of four mailboxes, what the CRM holds before the first sync, and
what arrives on the second day. Knows nothing of the hub: emulators and importers are fed by whoever runs the demo.
"""

from hub.demo.company import Company, Hero
from hub.demo.letter import DemoMail, Letter
from hub.demo.people import Organization, Person

__all__ = ["Company", "DemoMail", "Hero", "Letter", "Organization", "Person"]
