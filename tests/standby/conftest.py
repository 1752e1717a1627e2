"""The tests of standbys use the small live runs and the simulated exchange of other rooms."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1] / name) for name in ("live", "faults", "ledger")]
