"""Reads a block with DuckDB or pyarrow and prints `number ts bits` for each row.

Arguments: the tool, the block's folder, and for DuckDB the SQL of docs/format/block.md.
"""

import os
import struct
import sys

STALE = 0x7FF0000000000002


def bits(column):
    """The bits of a column of doubles, None where there is no value."""
    for chunk in column.chunks:
        raw = chunk.buffers()[1]
        valid = chunk.is_valid().to_pylist()
        for row, is_valid in enumerate(valid):
            at = (row + chunk.offset) * 8
            yield struct.unpack_from("<Q", raw, at)[0] if is_valid else None


def show(number, ts_ms, own_bits):
    print(number, ts_ms, f"{STALE if own_bits is None else own_bits:016x}")


def milliseconds(column):
    import pyarrow as pa

    return column.cast(pa.timestamp("ms", "UTC")).cast(pa.int64()).to_pylist()


def duckdb(sql):
    import duckdb

    table = duckdb.connect().execute(sql).to_arrow_table()
    labels = [dict(own) for own in table["labels"].to_pylist()]
    for own, name, ts_ms, value in zip(
        labels, table["name"].to_pylist(), milliseconds(table["ts"]), bits(table["value"])
    ):
        assert own["__name__"] == name, (own, name)
        show(own["number"], ts_ms, value)


def pyarrow():
    import pyarrow.parquet as pq

    samples = pq.read_table("samples.parquet", page_checksum_verification=True)
    series = pq.read_table("series.parquet")
    numbers = {
        sid: dict(labels)["number"]
        for sid, labels in zip(series["sid"].to_pylist(), series["labels"].to_pylist())
    }
    rows = zip(
        samples["sid"].to_pylist(),
        milliseconds(samples["ts"]),
        samples["v_int"].to_pylist(),
        samples["v_exp"].to_pylist(),
        bits(samples["v_float"]),
        samples["flags"].to_pylist(),
    )
    for sid, ts_ms, v_int, v_exp, v_float, flags in rows:
        if v_float is None and v_int is not None:
            value = float(v_int) / float(10**v_exp)
            v_float = struct.unpack("<Q", struct.pack("<d", value))[0]
        assert (v_float is None) == (flags & 1 == 1), (sid, ts_ms, flags)
        show(numbers[sid], ts_ms, v_float)


if __name__ == "__main__":
    tool, folder = sys.argv[1:3]
    os.chdir(folder)
    if tool == "duckdb":
        duckdb(sys.argv[3])
    else:
        pyarrow()
