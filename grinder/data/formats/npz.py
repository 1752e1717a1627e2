"""Column archives (.npz): the fast path for large synthetic or prepared series.

Law: members ``ts`` (ns) and ``price``, and optionally ``qty``, ``side`` (+1 buying aggressor, -1 selling) and
the quotes after the row, ``bid, ask, bid_qty, ask_qty``; integers in ticks of 0.1 and lots of 0.001.  Every
row is a trade, printed at the bid or the ask, so the quotes add nothing to what it reaches.  Stored members
are read straight into their arrays; nothing else of the file is touched, and pickles are refused.
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from grinder.data.faults import DataFault, FaultCode
from grinder.data.raw import Kind, RawFile, RawTable
from grinder.data.source import ZIP_DAMAGE, Source

NAME = "npz columns"
PRICE_DECIMALS = 1
QTY_DECIMALS = 3
COLUMNS = ("ts", "price", "bid", "ask")
SIZES = ("qty", "side", "bid_qty", "ask_qty")
DAMAGE = (*ZIP_DAMAGE, ValueError, SyntaxError, TypeError, KeyError, struct.error, TokenError, MemoryError)
"""What a damaged archive can make the zip and npy readers raise (a broken header may ask for any shape)."""
LOCAL_HEADER = struct.Struct("<26xHH")
"""A zip member's own header: 30 bytes that end with the lengths of its name and its extra field."""


def accepts(source: Source) -> bool:
    """A zip with members ts.npy and price.npy."""
    return {"ts.npy", "price.npy"} <= set(source.members)


def read(source: Source) -> RawFile:
    """The columns as they are; side is widened to int64."""
    wanted = (*COLUMNS, *SIZES) if source.sizes else COLUMNS
    held = [name for name in wanted if f"{name}.npy" in source.members]
    try:
        columns = read_members(source.path, held)
    except DAMAGE as error:
        fault = DataFault(code=FaultCode.TRUNCATED, row=0, what="the archive is damaged", value=str(error))
        return RawFile(format=NAME, tables=(), rows=0, time_unit="unknown", faults=(fault,))
    rows = len(columns["ts"])
    faults = [
        DataFault(
            code=FaultCode.SHAPE,
            row=0,
            what=f"member {name} is no int column of {rows} rows",
            value=f"{a.dtype} {a.shape}",
        )
        for name, a in columns.items()
        if a.dtype.kind != "i" or a.shape != (rows,)
    ]
    if faults or not rows:
        return RawFile(format=NAME, tables=(), rows=rows, time_unit="ns", faults=tuple(faults))
    whole = {name: np.ascontiguousarray(a, dtype=np.int64) for name, a in columns.items()}
    quoted = {"bid", "ask"} <= set(whole) and ("bid_qty" in whole) == ("ask_qty" in whole)
    table = RawTable(
        kind=Kind.MIXED if quoted else Kind.TRADES,
        ts=whole["ts"],
        price=whole["price"],
        qty=whole.get("qty"),
        side=whole.get("side"),
        bid=whole["bid"] if quoted else None,
        ask=whole["ask"] if quoted else None,
        bid_qty=whole.get("bid_qty") if quoted else None,
        ask_qty=whole.get("ask_qty") if quoted else None,
        price_decimals=PRICE_DECIMALS,
        qty_decimals=QTY_DECIMALS,
    )
    return RawFile(format=NAME, tables=(table,), rows=rows, time_unit="ns")


def read_members(path: Path, names: list[str]) -> dict[str, NDArray[Any]]:
    """Members by name.  Stored ones skip the zip reader (its checksum costs more than the read itself)."""
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        infos = {name: archive.getinfo(f"{name}.npy") for name in names}
        return {
            name: _stored(file, info) if info.compress_type == zipfile.ZIP_STORED else _packed(archive, info)
            for name, info in infos.items()
        }


def _stored(file: BinaryIO, info: zipfile.ZipInfo) -> NDArray[Any]:
    file.seek(info.header_offset)
    name_length, extra_length = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
    file.seek(name_length + extra_length, 1)
    return npy.read_array(file, allow_pickle=False)


def _packed(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(info) as member:
        return npy.read_array(member, allow_pickle=False)
