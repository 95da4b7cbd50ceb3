"""The golden vectors that every SDK is held to: native/sdk/vectors/frames.json."""

import json
import random
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

from millrace import frame, msgpack, plain_msgpack

#: Name, pack and unpack of each implementation there is.
CODECS = [("plain", plain_msgpack.pack, plain_msgpack.unpack)]
if msgpack.package is not None:
    CODECS.append(("package", msgpack.pack_by_package, msgpack.unpack_by_package))

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "frames.json").read_text())


def value_of(written: Any) -> Any:
    if isinstance(written, dict):
        if "$bytes" in written:
            return bytes.fromhex(written["$bytes"])
        return {key: value_of(item) for key, item in written.items()}
    return [value_of(item) for item in written] if isinstance(written, list) else written


def some_value(draw: random.Random, depth: int) -> Any:
    kinds: list[Callable[[], Any]] = [
        lambda: None,
        lambda: draw.random() < 0.5,
        lambda: draw.randrange(-(2 ** draw.randrange(64)), 2 ** draw.randrange(1, 65)),
        lambda: draw.choice([0.5, -0.0, 1e300, 2.0**53, float("inf"), draw.uniform(-1e6, 1e6)]),
        lambda: "ä€x𐍈"[: draw.randrange(5)] * draw.randrange(100),
        lambda: draw.randbytes(draw.randrange(300)),
        lambda: [some_value(draw, depth - 1) for _ in range(draw.randrange(20))] if depth > 0 else [],
        lambda: {f"k{i}": some_value(draw, depth - 1) for i in range(draw.randrange(20))} if depth > 0 else {},
    ]
    return draw.choice(kinds)()


class Vectors(unittest.TestCase):
    def test_frames_are_written_as_these_bytes_and_read_however_they_are_cut(self) -> None:
        self.assertGreater(len(VECTORS["frames"]), 15)
        for vector in VECTORS["frames"]:
            body, data = value_of(vector["body"]), bytes.fromhex(vector["hex"])
            with self.subTest(vector["name"]):
                self.assertEqual(frame.encode(vector["is"], body).hex(), vector["hex"])
                reader = frame.FrameReader()
                found = []
                for i in range(len(data)):
                    reader.feed(data[i : i + 1])
                    found.append(reader.next())
                self.assertEqual(found, [None] * (len(data) - 1) + [(vector["is"], body)])

    def test_values(self) -> None:
        for codec, pack, unpack in CODECS:
            for vector in VECTORS["values"]:
                with self.subTest(codec + ": " + vector["name"]):
                    self.assertEqual(pack(value_of(vector["value"])).hex(), vector["hex"])
            for vector in VECTORS["values"] + VECTORS["read"]:
                with self.subTest(codec + ": " + vector["name"]):
                    read = unpack(bytes.fromhex(vector["hex"]))
                    self.assertEqual(read, value_of(vector["value"]))
                    self.assertEqual(type(read), type(value_of(vector["value"])))

    def test_values_of_every_sort_are_written_alike_and_read_alike(self) -> None:
        draw = random.Random(7)
        for _ in range(2000):
            value = some_value(draw, 3)
            packed = plain_msgpack.pack(value)
            for codec, pack, unpack in CODECS:
                with self.subTest(codec, value=value):
                    self.assertEqual(pack(value), packed)
                    self.assertEqual(repr(unpack(packed)), repr(plain_msgpack.unpack(packed)))

    def test_what_is_not_one_value_is_refused(self) -> None:
        draw = random.Random(11)
        for codec, _, unpack in CODECS:
            for bad in ("c1", "", "01 01", "a2 61", "92 01", "81 a1 61", "d4 05 00", "d6 ff 00 00 00 00", "a2 c3 28", "dd ff ff ff ff"):
                with self.subTest(codec, bad=bad), self.assertRaises(ValueError):
                    unpack(bytes.fromhex(bad))
            for _ in range(3000):
                noise = draw.randbytes(draw.randrange(12))
                try:
                    unpack(noise)
                except ValueError:
                    pass

    def test_what_is_no_frame_is_refused(self) -> None:
        for vector in VECTORS["refused"]:
            with self.subTest(vector["name"]), self.assertRaises(ValueError):
                reader = frame.FrameReader()
                reader.feed(bytes.fromhex(vector["hex"]))
                reader.next()


if __name__ == "__main__":
    unittest.main()
