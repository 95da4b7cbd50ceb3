"""The golden vectors that every SDK is held to: native/sdk/vectors/frames.json."""

import json
import unittest
from pathlib import Path
from typing import Any

from millrace import frame, msgpack

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "frames.json").read_text())


def value_of(written: Any) -> Any:
    if isinstance(written, dict):
        if "$bytes" in written:
            return bytes.fromhex(written["$bytes"])
        return {key: value_of(item) for key, item in written.items()}
    return [value_of(item) for item in written] if isinstance(written, list) else written


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
        for vector in VECTORS["values"]:
            with self.subTest(vector["name"]):
                self.assertEqual(msgpack.pack(value_of(vector["value"])).hex(), vector["hex"])
        for vector in VECTORS["values"] + VECTORS["read"]:
            with self.subTest(vector["name"]):
                read = msgpack.unpack(bytes.fromhex(vector["hex"]))
                self.assertEqual(read, value_of(vector["value"]))
                self.assertEqual(type(read), type(value_of(vector["value"])))

    def test_what_is_no_frame_is_refused(self) -> None:
        for vector in VECTORS["refused"]:
            with self.subTest(vector["name"]), self.assertRaises(ValueError):
                reader = frame.FrameReader()
                reader.feed(bytes.fromhex(vector["hex"]))
                reader.next()


if __name__ == "__main__":
    unittest.main()
