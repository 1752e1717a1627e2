"""Between the core and an exchange: the life of orders when requests fail.

Law: one session is one account on one exchange.  What the exchange left open stays open until there is
evidence; nothing is sent twice, nothing after the stop, and nothing is invented.
"""

from grinder.live.session.reconciling import Reconciled
from grinder.live.session.session import LiveSession
from grinder.live.session.settings import SessionSettings

__all__ = ["LiveSession", "Reconciled", "SessionSettings"]
