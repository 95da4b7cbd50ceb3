"""Checks that what a calculator returned is JSON, and makes it so where there is one obvious form for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from millrace.msgpack import WHOLE_MAX
from millrace.payload import PayloadResult

DEPTH_MAX = 200

_PLAIN = frozenset((str, bool, type(None)))

#: What stands for bytes of a format; without one they are no JSON.
BytesAs = Callable[[bytes, str], Any]


class ResultError(ValueError):
    """The result is not JSON; the message has the path of the bad value."""


def messages_of(result: Any, bytes_as: BytesAs | None = None) -> list[Any]:
    """The messages that a result stands for: none for ``None``, each item of a list, tuple or iterator, else one."""
    if result is None:
        return []
    if type(result) is dict:
        return [json_of(result, "", bytes_as=bytes_as)]
    plain = list(result) if isinstance(result, (list, tuple, Iterator)) else _plain(result)
    if isinstance(plain, list):
        return [json_of(item, f"/{i}", bytes_as=bytes_as) for i, item in enumerate(plain)]
    return [json_of(plain, "", bytes_as=bytes_as)]


def json_of(value: Any, path: str, depth: int = 0, *, bytes_as: BytesAs | None = None) -> Any:
    """The value as JSON. Floats that are not finite become ``None``, as everywhere in Millrace."""
    if value is None or value is True or value is False or type(value) is str:
        return value
    if isinstance(value, int):
        if -WHOLE_MAX <= value <= WHOLE_MAX:
            return int(value)
        raise ResultError(f"the result is not JSON: an integer beyond 2^53 at {path or 'its root'}")
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if depth > DEPTH_MAX:
        raise ResultError(f"the result is not JSON: a cycle, or a value nested too deeply at {path[:80]}")
    if type(value) is dict:
        return _fields(value, path, depth, bytes_as)
    if isinstance(value, Mapping):
        return {_key(k, path): json_of(v, f"{path}/{k}", depth + 1, bytes_as=bytes_as) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_of(v, f"{path}/{i}", depth + 1, bytes_as=bytes_as) for i, v in enumerate(value)]
    if isinstance(value, str):
        return str(value)
    if bytes_as is not None and isinstance(value, (bytes, bytearray, memoryview)):
        return bytes_as(bytes(value), "raw")
    if bytes_as is not None and isinstance(value, PayloadResult):
        return bytes_as(bytes(value.bytes), value.format)
    plain = _plain(value)
    if plain is value:
        raise ResultError(f"the result is not JSON: a {type(value).__name__} at {path or 'its root'}")
    return json_of(plain, path, depth + 1, bytes_as=bytes_as)


def _fields(value: dict[Any, Any], path: str, depth: int, bytes_as: BytesAs | None) -> dict[str, Any]:
    """Most results are flat: what is plain is told by its type alone, and no path is made for it."""
    fields = {}
    for key, item in value.items():
        kind = type(item)
        is_plain = kind in _PLAIN or (kind is int and -WHOLE_MAX <= item <= WHOLE_MAX)
        name = key if type(key) is str else _key(key, path)
        fields[name] = item if is_plain else json_of(item, f"{path}/{name}", depth + 1, bytes_as=bytes_as)
    return fields


def _key(key: Any, path: str) -> str:
    if isinstance(key, str):
        return str(key)
    raise ResultError(f"the result is not JSON: a key that is a {type(key).__name__} at {path or 'its root'}")


def _plain(value: Any) -> Any:
    """Dataclasses, numpy arrays and scalars, arrow arrays, batches and tables; anything else as it is."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    for name in ("to_pylist", "tolist"):
        convert = getattr(value, name, None)
        if callable(convert) and not isinstance(value, type):
            return convert()
    return value
