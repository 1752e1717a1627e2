"""The tests of the supervisor use the small paper runs of other rooms."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1] / name) for name in ("live", "faults", "ledger")]
