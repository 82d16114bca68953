"""Parquet shards, one a step: written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alive.store.atomic import replacing


def write_shard(
    folder: Path, name: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]
) -> Path:
    """Writes rows to ``NAME.parquet``, atomically.

    Args:
        folder: Where to.
        name: File name without its ending, such as ``step-000012``.
        rows: Values by column.
        columns: Column -> Arrow type, in file order.

    Raises:
        OSError: When the disk refuses; no torn shard is left under the final name.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"{name}.parquet"
    schema = pa.schema([(column, pa.type_for_alias(kind)) for column, kind in columns.items()])
    table = pa.Table.from_pylist([_printable(row) for row in rows], schema=schema)
    with replacing(path) as handle:
        pq.write_table(table, handle, compression="zstd")
    return path


def drop_shards(folder: Path, step: int) -> None:
    """Deletes the shards of ``step`` and later, and temporary files."""
    for path in folder.glob("step-*.parquet"):
        if int(path.stem.removeprefix("step-")) >= step:
            path.unlink()
    for path in folder.glob(".*.tmp"):
        path.unlink()


def _printable(row: Mapping[str, Any]) -> dict[str, Any]:
    """Replaces lone surrogates (JSON corpora can hold them), which UTF-8 cannot carry."""
    return {
        name: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for name, value in row.items()
    }
