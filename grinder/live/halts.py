"""What keeps a run from trading a symbol, by the run's own status.

Law: said once, for whoever decides beside the run and for the run that records it; a name is whole in itself
and is read by people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TRADING = "trading"
"""The phase of a run (`grinder.live.life`) in which it trades."""


def halts_of(status: Mapping[str, Any], symbol: str) -> tuple[str, ...]:
    """The halts and pauses in force for a symbol, sorted; empty when it may trade."""
    own: Mapping[str, Any] = status.get("symbols", {}).get(symbol, {})
    found = [f"pause ({_plain(one)})" for one in status.get("pauses", ())]
    found += [f"pause of {symbol} ({_plain(one)})" for one in own.get("pauses", ())]
    if status.get("halted"):
        found.append(f"kill switch ({_plain(status['halted'])})")
    if own.get("halted"):
        found.append(f"halt of {symbol}")
    if (phase := status.get("phase")) != TRADING:
        found.append(f"phase of the run ({phase})")
    return tuple(sorted(set(found)))


def _plain(reason: object) -> str:
    """A reason on one line: an operator's words are whatever was typed."""
    return " ".join("".join(one if one.isprintable() else " " for one in str(reason)).split())
