"""Payloads: large values that a row names and whose bytes lie in a file of the host, where they are read without a copy."""

from __future__ import annotations

import mmap
import os
from base64 import b64decode
from dataclasses import dataclass
from typing import Any

KEY = "$payload"


class PayloadError(ValueError):
    """A payload that does not open; ``code`` is the dead letter's."""

    def __init__(self, message: str, code: str = "PAYLOAD-VALUE") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Payload:
    """An opened payload, while its row is calculated."""

    bytes: memoryview
    """Read-only, in place: ``numpy.frombuffer(payload.bytes, ...)`` copies nothing. Empty when the row is done."""
    format: str


@dataclass(frozen=True, slots=True)
class PayloadResult:
    """Bytes with a format, for a result."""

    bytes: bytes | bytearray | memoryview
    format: str


class Payloads:
    """The payloads of a batch."""

    def __init__(self, places: dict[str, Any] | None = None) -> None:
        self._places = places or {}
        self._open: list[tuple[memoryview, Any]] = []
        self.opens = 0

    def open(self, value: Any) -> Payload:
        body = value.get(KEY) if isinstance(value, dict) else None
        if not isinstance(body, dict):
            raise PayloadError("the value that was to be opened is no payload")
        if "base64" in body:
            return Payload(memoryview(b64decode(body["base64"])), body["format"])
        place = self._places.get(body.get("sha256"))
        if place is None:
            raise PayloadError("only payloads of the row can be opened")
        view = self._map(place)
        self.opens += 1
        return Payload(view, place["format"])

    def _map(self, place: dict[str, Any]) -> memoryview:
        offset, length = int(place["offset"]), int(place["length"])
        if length == 0:
            return memoryview(b"")
        start = offset - offset % mmap.ALLOCATIONGRANULARITY
        with open(place["path"], "rb") as file:
            # To read behind the end of a file that is mapped is a fault.
            if os.fstat(file.fileno()).st_size < offset + length:
                raise PayloadError(f"{place['path']} ends before the payload does", "PAYLOAD-MISSING")
            mapping = mmap.mmap(file.fileno(), offset - start + length, access=mmap.ACCESS_READ, offset=start)
        view = memoryview(mapping)[offset - start :]
        self._open.append((view, mapping))
        return view

    def end_row(self) -> None:
        """What the row opened is unmapped; a view that somebody keeps (a numpy array) keeps its mapping with it."""
        for view, mapping in self._open:
            try:
                view.release()
                mapping.close()
            except BufferError:
                pass
        self._open.clear()
