"""The tests of this room use the small worlds and runs of the other rooms."""

import sys
from pathlib import Path

for room in ("domain", "replay", "ledger", "data"):
    sys.path.append(str(Path(__file__).resolve().parents[1] / room))
