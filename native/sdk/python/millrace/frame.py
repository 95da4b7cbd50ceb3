"""Frames of the protocol ``abacus/1``, see PROTOCOL.md: u32 length, little-endian; a byte for the type; a msgpack map."""

from __future__ import annotations

import socket
from struct import Struct
from typing import Any

from millrace.msgpack import pack, unpack

PROTOCOL = "abacus/1"
FRAME_BYTES_MAX = 16 * 1024 * 1024
NAMES = (
    "hello welcome ready refused credit batch result cancel snapshot state restore ping pong drain bye".split(" ")
)
CODES = {name: code for code, name in enumerate(NAMES, 1)}
_HEAD = Struct("<IB")

Frame = tuple[str, dict[str, Any]]


def encode(name: str, body: dict[str, Any]) -> bytes:
    packed = pack(body)
    return _HEAD.pack(len(packed) + 1, CODES[name]) + packed


class FrameReader:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, chunk: bytes) -> None:
        self._bytes += chunk

    def next(self) -> Frame | None:
        """The next whole frame. Raises ``ValueError`` for bytes that are none."""
        if len(self._bytes) < _HEAD.size:
            return None
        length, code = _HEAD.unpack_from(self._bytes)
        if not 1 <= length <= FRAME_BYTES_MAX:
            raise ValueError(f"a frame of {length} bytes")
        if not 1 <= code <= len(NAMES):
            raise ValueError(f"a frame of type {code}")
        if len(self._bytes) < 4 + length:
            return None
        body = unpack(bytes(self._bytes[_HEAD.size : 4 + length]))
        if not isinstance(body, dict):
            raise ValueError("a frame without a map")
        del self._bytes[: 4 + length]
        return NAMES[code - 1], body


class Channel:
    """Frames over a connected socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._reader = FrameReader()

    def send(self, name: str, body: dict[str, Any]) -> None:
        self.send_encoded(encode(name, body))

    def send_encoded(self, frame: bytes) -> None:
        self._socket.sendall(frame)

    def receive(self) -> Frame | None:
        """Waits for a frame; ``None`` when the host is gone."""
        while (frame := self._reader.next()) is None:
            chunk = self._socket.recv(1 << 20)
            if not chunk:
                return None
            self._reader.feed(chunk)
        return frame

    def poll(self) -> Frame | None:
        """A frame that is here already."""
        while (frame := self._reader.next()) is None:
            try:
                chunk = self._socket.recv(1 << 16, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return None
            if not chunk:
                return None
            self._reader.feed(chunk)
        return frame
