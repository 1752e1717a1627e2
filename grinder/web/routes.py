"""Every route there is.

Law: this tuple is the API.  The server adds these rows and nothing else, and a test compares the two.
"""

from __future__ import annotations

from grinder.web import pages
from grinder.web.call import Route
from grinder.web.handlers import auth, commands, deciding, grids, ledger, reading, stream, system, webhook

ROUTES: tuple[Route, ...] = (
    *system.ROUTES,
    *reading.ROUTES,
    *commands.ROUTES,
    *grids.ROUTES,
    *deciding.ROUTES,
    *ledger.ROUTES,
    *webhook.ROUTES,
    *auth.ROUTES,
    *stream.ROUTES,
    *pages.ROUTES,
)
