"""The configuration: read, checked, described.

Law: this is the only way to a `Config`.  Files, environment and command line are laid over each other, every
value is checked where it was written, and what comes out is frozen.  Secrets never pass through here.
"""

from grinder.config.account import Account, Endpoint, Fees, Fills
from grinder.config.choices import (
    AlertFormat,
    AlertLevel,
    Exchange,
    FillModel,
    GridMode,
    GridSpacing,
    InitialInventory,
    InstrumentKind,
    OnStop,
    PartialFills,
)
from grinder.config.converting import config_as_dict
from grinder.config.grid import Grid
from grinder.config.live import Live, Observe, Recording, Webhook
from grinder.config.loading import check_config, load_config
from grinder.config.model import CONFIG_VERSION, Config, Instrument, Risk, Run
from grinder.config.reference import config_reference
from grinder.config.rules import config_warnings
from grinder.config.sample import sample_config
from grinder.config.schema import config_schema

__all__ = [
    "CONFIG_VERSION",
    "Account",
    "AlertFormat",
    "AlertLevel",
    "Config",
    "Endpoint",
    "Exchange",
    "Fees",
    "FillModel",
    "Fills",
    "Grid",
    "GridMode",
    "GridSpacing",
    "InitialInventory",
    "Instrument",
    "InstrumentKind",
    "Live",
    "Observe",
    "OnStop",
    "PartialFills",
    "Recording",
    "Risk",
    "Run",
    "Webhook",
    "check_config",
    "config_as_dict",
    "config_reference",
    "config_schema",
    "config_warnings",
    "load_config",
    "sample_config",
]
