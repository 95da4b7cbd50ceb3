"""What a worker says when a result cannot be sent as it is."""

import unittest

from millrace.frame import FRAME_BYTES_MAX, FrameReader, encode
from millrace.worker import Worker


class Heard:
    """A channel whose frames are kept."""

    def __init__(self):
        self.frames = []

    def send(self, name, body):
        self.send_encoded(encode(name, body))

    def send_encoded(self, frame):
        reader = FrameReader()
        reader.feed(frame)
        self.frames.append(reader.next()[1])


def sent(out, **fields):
    heard = Heard()
    Worker(heard)._send_result({"id": 1, "from": 0, "out": out, "end": True, **fields})
    return heard.frames


class WorkerTest(unittest.TestCase):
    def test_a_text_that_is_no_unicode_fails_its_row_alone(self):
        frames = sent([["good"], ["\ud800"], ["too"]], opens=2)
        self.assertEqual([f["from"] for f in frames], [0, 1, 2])
        self.assertEqual([f["end"] for f in frames], [False, False, True])
        self.assertEqual([f.get("opens") for f in frames], [2, None, None])
        self.assertEqual([frames[0]["out"], frames[2]["out"]], [[["good"]], [["too"]]])
        [failure] = frames[1]["out"]
        self.assertEqual(failure["code"], "CALC-RESULT")
        self.assertIn("no Unicode", failure["msg"])

    def test_what_fits_is_sent_at_once_and_what_does_not_in_parts(self):
        self.assertEqual(len(sent([["x" * 1000]] * 100)), 1)
        part = "x" * (FRAME_BYTES_MAX // 3)
        frames = sent([[part]] * 4)
        self.assertEqual([(f["from"], len(f["out"]), f["end"]) for f in frames], [(0, 2, False), (2, 2, True)])


if __name__ == "__main__":
    unittest.main()
