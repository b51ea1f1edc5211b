"""Every page there is, with an address of the company's hub that shows it. A route that is not here fails a test."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from starlette.routing import Route

from hub.reports import REPORTS
from tests.browser.hubs import Hub
from tests.browser.tab import Tab


@dataclass(frozen=True)
class Place:
    """name: of the picture, too. route: as the page's module writes it. found_at: for a page about one thing, a page with
    a link to it; the first whose address begins with the pattern `link` is followed."""

    name: str
    route: str
    path: str = ""
    found_at: str = ""
    link: str = ""
    is_open: bool = False
    status: int = 200


BUSIEST = "/customers/{busiest}"
PLACES = (
    Place("sign-in", "/sign-in", is_open=True),
    Place("code", "/sign-in/code", is_open=True),
    Place("customers", "/customers"),
    Place("found", "/customers", "/customers?q=invoice"),
    Place("customer", "/customers/{public_id}", BUSIEST),
    Place("organization", "/customers/{public_id}", "/customers/{organization}"),
    Place("entry", "/entries/{public_id}", found_at=BUSIEST, link="/entries/[^/#]+$"),
    Place("conversation", "/entries/{public_id}/conversation", found_at=BUSIEST, link="/entries/[^/]+/conversation"),
    Place("health", "/health"),
    Place("connection", "/health/connections/{name}", "/health/connections/zendesk"),
    Place("run", "/health/runs/{number:int}", "/health/runs/1"),
    Place("coverage", "/health/coverage"),
    Place("issues", "/health/issues"),
    Place("quarantine", "/health/quarantine"),
    Place("quarantined", "/health/quarantine/record", found_at="/health/quarantine", link="/health/quarantine/record"),
    Place("plans", "/plans"),
    Place("plan", "/plans/{number:int}", "/plans/1"),
    Place("identity", "/identity"),
    Place(
        "question", "/identity/questions/{number:int}", found_at="/identity/parties/{anna}", link="/identity/questions/"
    ),
    Place("who", "/identity/parties/{public_id}", "/identity/parties/{anna}"),
    Place("why", "/identity/why", "/identity/why?a={anna}&b={other_anna}"),
    Place("preview", "/identity/preview", "/identity/preview?act=merge&what={anna}&what={other_anna}"),
    Place("acts", "/identity/acts"),
    Place("act", "/identity/acts/{number:int}", found_at="/identity/acts", link="/identity/acts/[0-9]+$"),
    Place("reports", "/reports"),
    *(Place(f"report-{name}", "/reports/{name}", f"/reports/{name}") for name in REPORTS),
    Place("setup", "/setup"),
    Place("catalogue", "/setup/catalogue"),
    Place("connector", "/setup/catalogue/{name}", "/setup/catalogue/gmail"),
    Place("set-up-one", "/setup/connections/{name}", "/setup/connections/hubspot"),
    Place("not-connected", "/setup/connected/{connector}", "/setup/connected/gmail", status=409),
    Place("permissions", "/setup/permissions"),
    Place("policy", "/setup/policy"),
    Place("fields", "/setup/mapping", "/setup/mapping?customer=clara.voss@corvane.example"),
    Place("account", "/account"),
    Place("people", "/people"),
    Place("person", "/people/{public_id}", found_at="/people", link="/people/[^/]+$"),
    Place("ledger", "/ledger"),
    Place("webhooks", "/webhooks"),
    Place("webhook", "/webhooks/{endpoint}", found_at="/webhooks", link="/webhooks/[^/]+$"),
    Place("nowhere", "", "/no-such-page", status=404),
)
# No page of their own: the front page is the one of customers, others go elsewhere at once, are a frame's or a file.
NO_PLACE = {
    "/", "/sign-in/with/{provider}", "/sign-in/with/{provider}/back", "/entries/{public_id}/text", "/reports/{name}.csv",
}  # fmt: skip


def opened(hub: Hub, tab: Tab, only: Collection[str] = ()) -> Iterator[Place]:
    """Each place, once it is open. Who looks is an admin, but for those where nobody is signed in yet. only: these names."""
    wanted = [p for p in PLACES if not only or p.name in only]
    for place in [p for p in wanted if p.is_open]:
        tab.go(hub.url + place.route)
        yield place
    hub.signed_in(tab)
    named = {
        "busiest": hub.busiest()[0], "organization": hub.busiest("organization")[0],
        "anna": hub.party("anna.weber@"), "other_anna": hub.party("a.weber@"),
    }  # fmt: skip
    for place in [p for p in wanted if not p.is_open]:
        path = (place.path or place.route).format(**named) if not place.found_at else ""
        if place.found_at:
            tab.go(place.found_at.format(**named))
            hrefs = "[...document.querySelectorAll('main a[href]')].map((a) => a.getAttribute('href'))"
            path = str(tab.until(f"{hrefs}.find((href) => href.match('^{place.link}'))", f"a link to {place.name}"))
        tab.go(path)
        yield place


def routes() -> set[str]:
    """The routes of all pages that are served."""
    from importlib import import_module
    from pkgutil import iter_modules

    import hub.web

    found = set()
    for module in iter_modules(hub.web.__path__):
        for route in getattr(import_module(f"hub.web.{module.name}"), "routes", ()):
            if isinstance(route, Route) and "GET" in (route.methods or ()):
                found.add(route.path)
    return found
