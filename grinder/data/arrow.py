"""Feather and parquet as `Columns`; the only module that knows pyarrow.

Law: pyarrow is imported when such a file is opened, never before.  Columns are converted one by one when
asked for: a file of 83 columns of which nine are wanted costs nine.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from grinder.data.columns import Columns
from grinder.data.faults import DataFault, FaultCode, UnreadableError
from grinder.data.source import Source
from grinder.errors import EnvironmentFault

if TYPE_CHECKING:
    import pyarrow as pa

FEATHER_MAGIC = (b"ARROW1", b"FEA1")
PARQUET_MAGIC = b"PAR1"


def is_arrow(source: Source) -> bool:
    """Whether the content is feather (1 or 2) or parquet."""
    return source.head.startswith((*FEATHER_MAGIC, PARQUET_MAGIC))


def arrow_columns(source: Source) -> Columns:
    """The columns of one feather or parquet file.

    Raises:
        UnreadableError: the file is damaged.
        EnvironmentFault: pyarrow is missing.
    """
    try:
        import pyarrow as pa
        from pyarrow import feather, parquet
    except ModuleNotFoundError as error:
        raise EnvironmentFault(
            "data.pyarrow_missing",
            "feather and parquet files need pyarrow",
            place=str(source.path),
            fix="pip install 'grinder[data]'",
        ) from error

    def damaged(error: Exception) -> UnreadableError:
        what = "the feather or parquet file is damaged or cut short"
        value = str(error).partition("\n")[0][:120]
        return UnreadableError(DataFault(code=FaultCode.TRUNCATED, row=0, what=what, value=value))

    def get(name: str) -> NDArray[Any]:
        try:
            return as_numpy(table, name)
        except (pa.ArrowException, ValueError, KeyError) as error:
            raise damaged(error) from error

    content = BytesIO(source.data)
    try:
        read = parquet.read_table if source.head.startswith(PARQUET_MAGIC) else feather.read_table
        table = read(content)
        table.validate(full=True)
        names = table.column_names
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damaged(error) from error
    return Columns(names, get, table.num_rows, 1)


def as_numpy(table: pa.Table, name: str) -> NDArray[Any]:
    """One column: datetime64[ns], int64, float64 or bytes text; nulls become NaN, or empty text."""
    import pyarrow as pa

    column = table.column(name)
    if pa.types.is_timestamp(column.type):
        ns = column.cast(pa.timestamp("ns", tz=column.type.tz)).cast(pa.int64())
        return ns.to_numpy().astype("datetime64[ns]")
    if pa.types.is_integer(column.type) and not column.null_count:
        return column.to_numpy().astype(np.int64, copy=False)
    if pa.types.is_boolean(column.type):
        return column.to_numpy()
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return column.cast(pa.float64()).to_numpy()
    texts = ["" if value is None else str(value) for value in column.to_pylist()]
    return np.array(texts or [""]).astype("S")[: len(texts)]
