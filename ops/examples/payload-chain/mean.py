"""The mean of a signal: NumPy over its bytes in place."""

import struct

import numpy

from millrace import Context


def calculate(row: dict, context: Context) -> dict:
    data = context.open(row["signal"]).bytes
    start = 10 + struct.unpack_from("<H", data, 8)[0]
    samples = numpy.frombuffer(data, dtype="<f8", offset=start)
    return {**row, "mean": float(samples.mean())}
