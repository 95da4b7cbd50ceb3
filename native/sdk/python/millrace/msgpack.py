"""Msgpack as the protocol uses it: by the package ``msgpack``, which is C, where it is installed, else by this one's own."""

from __future__ import annotations

from typing import Any

from millrace import plain_msgpack
from millrace.plain_msgpack import WHOLE_MAX, whole

try:
    import msgpack as package
except ImportError:
    package = None

__all__ = ["WHOLE_MAX", "pack", "unpack"]

#: Where none of them is, there is no float 32 or 64 and no timestamp; where one is, there may be.
_TELLTALES = (b"\xca", b"\xcb", b"\xd6\xff", b"\xd7\xff", b"\xc7\x0c\xff")


def pack_by_package(value: Any) -> bytes:
    try:
        return package.packb(value, use_bin_type=True)
    except OverflowError:  # An integer that only a float 64 holds.
        return plain_msgpack.pack(value)


def unpack_by_package(data: bytes) -> Any:
    """Raises ``ValueError`` when the bytes are not exactly one value."""
    try:
        value = package.unpackb(data, raw=False, strict_map_key=False, ext_hook=_no_extension, timestamp=0)
    except (package.exceptions.UnpackException, TypeError, RecursionError) as error:
        raise ValueError(f"not msgpack: {error}") from error
    return _as_plain(value) if any(code in data for code in _TELLTALES) else value


def _no_extension(code: int, _: bytes) -> Any:
    raise ValueError(f"not msgpack: an extension of type {code}")


def _as_plain(value: Any) -> Any:
    """With whole numbers as ``int``; timestamps are no part of the protocol."""
    kind = type(value)
    if kind is float:
        return whole(value)
    if kind is dict:
        for key, item in value.items():
            if type(item) not in _LEFT_AS_IT_IS:
                value[key] = _as_plain(item)
    elif kind is list:
        for i, item in enumerate(value):
            if type(item) not in _LEFT_AS_IT_IS:
                value[i] = _as_plain(item)
    elif kind not in _LEFT_AS_IT_IS:
        raise ValueError(f"not msgpack: a {kind.__name__}")
    return value


_LEFT_AS_IT_IS = frozenset((type(None), bool, int, str, bytes))

pack = plain_msgpack.pack if package is None else pack_by_package
unpack = plain_msgpack.unpack if package is None else unpack_by_package
