"""Every address this connector calls, in both of HubSpot's dialects: one table, one place to change.

Classic paths carry v3 or v4; date-based ones the version ("2026-03"), one scheme for all resources.
"""

# fmt: off
TABLE = {  # what:         (classic,                                   date-based)
    "objects":             ("crm/v3/objects/{0}",                      "crm/objects/{ver}/{0}"),
    "batch":               ("crm/v3/objects/{0}/batch/{1}",            "crm/objects/{ver}/{0}/batch/{1}"),
    "merge":               ("crm/v3/objects/{0}/merge",                "crm/objects/{ver}/{0}/merge"),
    "search":              ("crm/v3/objects/{0}/search",               "crm/objects/{ver}/{0}/search"),
    "links":               ("crm/v4/associations/{0}/{1}/batch/{2}",   "crm/associations/{ver}/{0}/{1}/batch/{2}"),
    "owners":              ("crm/v3/owners",                           "crm/owners/{ver}"),
    "properties":          ("crm/v3/properties/{0}",                   "crm/properties/{ver}/{0}"),
    "property":            ("crm/v3/properties/{0}/{1}",               "crm/properties/{ver}/{0}/{1}"),
    "preferences":         ("communication-preferences/v4/statuses/{0}", "communication-preferences/{ver}/statuses/{0}"),
    "account":             ("account-info/v3/details",                 "account-info/{ver}/details"),
}
# fmt: on


class Paths:
    """Paths of one API version, relative to the base URL."""

    def __init__(self, api_version: str) -> None:
        dialect = 0 if api_version == "v3" else 1
        self._table = {name: pair[dialect].replace("{ver}", api_version) for name, pair in TABLE.items()}

    def __call__(self, name: str, *parts: str) -> str:
        """The path of a table row, with the object types or actions it needs filled in."""
        return self._table[name].format(*parts)
