"""The part of msgpack that the protocol uses: nil, booleans, integers, float 64, text, bytes, lists, maps with text keys.

Written in the shortest form. A number has no type of its own in a message, so a float 64 that is a whole number is read as an
``int``, as it was meant by whoever wrote it in a language with one kind of number.
"""

from __future__ import annotations

from struct import Struct
from typing import Any

_U8, _U16, _U32, _U64, _I8, _I16, _I32, _I64, _F32, _F64 = (Struct(">" + c) for c in "BHIQbhiqfd")
WHOLE_MAX = 2**53


def pack(value: Any) -> bytes:
    out = bytearray()
    _write(out, value)
    return bytes(out)


def _write(out: bytearray, value: Any) -> None:
    if value is None:
        out.append(0xC0)
    elif value is True or value is False:
        out.append(0xC3 if value else 0xC2)
    elif isinstance(value, str):
        text = value.encode("utf-8")
        _head(out, len(text), 0xA0, 32, (0xD9, 0xDA, 0xDB))
        out += text
    elif isinstance(value, int):
        _write_int(out, value)
    elif isinstance(value, float):
        out.append(0xCB)
        out += _F64.pack(value)
    elif isinstance(value, dict):
        _head(out, len(value), 0x80, 16, (None, 0xDE, 0xDF))
        for key, item in value.items():
            _write(out, key)
            _write(out, item)
    elif isinstance(value, (list, tuple)):
        _head(out, len(value), 0x90, 16, (None, 0xDC, 0xDD))
        for item in value:
            _write(out, item)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        _head(out, len(value), 0, 0, (0xC4, 0xC5, 0xC6))
        out += value
    else:
        raise TypeError(f"a {type(value).__name__} cannot be packed")


def _head(out: bytearray, n: int, fix: int, fix_below: int, codes: tuple[int | None, int, int]) -> None:
    one, two, four = codes
    if n < fix_below:
        out.append(fix | n)
    elif one is not None and n < 0x100:
        out += bytes((one, n))
    elif n < 0x10000:
        out.append(two)
        out += _U16.pack(n)
    else:
        out.append(four)
        out += _U32.pack(n)


def _write_int(out: bytearray, n: int) -> None:
    if -0x20 <= n < 0x80:
        out.append(n & 0xFF)
    elif n >= 0:
        code, form = next((c, f) for c, f, m in _UNSIGNED if n < m) if n < 2**64 else (0xCB, _F64)
        out.append(code)
        out += form.pack(n)
    else:
        code, form = next((c, f) for c, f, m in _SIGNED if n >= m) if n >= -(2**63) else (0xCB, _F64)
        out.append(code)
        out += form.pack(n)


_UNSIGNED = ((0xCC, _U8, 2**8), (0xCD, _U16, 2**16), (0xCE, _U32, 2**32), (0xCF, _U64, 2**64))
_SIGNED = ((0xD0, _I8, -(2**7)), (0xD1, _I16, -(2**15)), (0xD2, _I32, -(2**31)), (0xD3, _I64, -(2**63)))
_READ_NUMBER = {0xCA: _F32, 0xCB: _F64} | {c: f for c, f, _ in _UNSIGNED + _SIGNED}
#: Code -> (size of the length, what follows).
_LONG = {0xC4: (1, "bin"), 0xC5: (2, "bin"), 0xC6: (4, "bin"), 0xD9: (1, "str"), 0xDA: (2, "str"), 0xDB: (4, "str")} | {
    0xDC: (2, "list"), 0xDD: (4, "list"), 0xDE: (2, "map"), 0xDF: (4, "map")
}


def unpack(data: bytes) -> Any:
    """Raises ``ValueError`` when the bytes are not exactly one value."""
    try:
        value, end = _read(data, 0)
    except (IndexError, TypeError, RecursionError, UnicodeDecodeError, OverflowError) as error:
        raise ValueError(f"not msgpack: {error}") from error
    if end != len(data):
        raise ValueError(f"not msgpack: {len(data) - end} bytes too many")
    return value


def _read(data: bytes, at: int) -> tuple[Any, int]:
    code = data[at]
    at += 1
    if code < 0x80:
        return code, at
    if code >= 0xE0:
        return code - 0x100, at
    if code in _READ_NUMBER:
        return _number(data, at, _READ_NUMBER[code])
    if code < 0xC0:
        kind = "map" if code < 0x90 else "list" if code < 0xA0 else "str"
        return _collect(data, at, kind, code & (0x1F if kind == "str" else 0x0F))
    if code in _LONG:
        size, kind = _LONG[code]
        return _collect(data, at + size, kind, int.from_bytes(_slice(data, at, size)))
    if code in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[code], at
    raise ValueError(f"not msgpack: code {code:#x}")


def _number(data: bytes, at: int, form: Struct) -> tuple[int | float, int]:
    [n] = form.unpack(_slice(data, at, form.size))
    return (whole(n) if isinstance(n, float) else n), at + form.size


def whole(n: float) -> int | float:
    """The number as an ``int`` where it is one that a float 64 holds exactly."""
    return int(n) if n.is_integer() and abs(n) <= WHOLE_MAX else n


def _collect(data: bytes, at: int, kind: str, n: int) -> tuple[Any, int]:
    if kind == "str":
        return str(_slice(data, at, n), "utf-8"), at + n
    if kind == "bin":
        return _slice(data, at, n), at + n
    if kind == "list":
        items = []
        for _ in range(n):
            item, at = _read(data, at)
            items.append(item)
        return items, at
    fields = {}
    for _ in range(n):
        key, at = _read(data, at)
        fields[key], at = _read(data, at)
    return fields, at


def _slice(data: bytes, at: int, n: int) -> bytes:
    if at + n > len(data):
        raise IndexError("it ends too early")
    return data[at : at + n]
