"""Market data files in, `Ticks` out.

Law: the format of a file is read off its content, its numbers become exact integers, and whatever is wrong
with it is named with its row before a run starts.  Three questions can be asked of a file: what is in it
(`describe`), what is wrong with it (`verify`), and its rows (`load`).
"""

from __future__ import annotations

from grinder.data.describing import Description, describe, verify
from grinder.data.faults import DataFault, FaultCode
from grinder.data.loading import load, load_tables
from grinder.data.merging import merge
from grinder.data.raw import Kind, RawFile, RawTable
from grinder.data.registry import format_names, read_file
from grinder.data.scales import InstrumentScale
from grinder.data.symbols import DataArgument, parse_data_argument
from grinder.data.to_ticks import to_ticks

__all__ = [
    "DataArgument",
    "DataFault",
    "Description",
    "FaultCode",
    "InstrumentScale",
    "Kind",
    "RawFile",
    "RawTable",
    "describe",
    "format_names",
    "load",
    "load_tables",
    "merge",
    "parse_data_argument",
    "read_file",
    "to_ticks",
    "verify",
]
