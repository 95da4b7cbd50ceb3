import math
import unittest
from collections import namedtuple
from dataclasses import dataclass
from typing import Any

from millrace.calculator import Calculator, Context, calculation_of, calculator, factory_in
from millrace.result import ResultError, messages_of
from millrace.worker import Worker


class Array:
    """What numpy's arrays and scalars look like from here."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def tolist(self) -> Any:
        return self.value


class Results(unittest.TestCase):
    def test_stand_for_none_one_or_several_messages(self) -> None:
        self.assertEqual(messages_of(None), [])
        self.assertEqual(messages_of({"a": 1}), [{"a": 1}])
        self.assertEqual(messages_of([{"a": 1}, "b"]), [{"a": 1}, "b"])
        self.assertEqual(messages_of(i for i in range(3)), [0, 1, 2])
        self.assertEqual(messages_of("text"), ["text"])

    def test_are_made_json_where_that_is_obvious(self) -> None:
        @dataclass
        class Point:
            x: int

        Pair = namedtuple("Pair", "a b")
        self.assertEqual(messages_of(Point(1)), [{"x": 1}])
        self.assertEqual(messages_of({"n": math.nan, "i": math.inf}), [{"n": None, "i": None}])
        self.assertEqual(messages_of({"v": Array([1.5, 2]), "s": Array(3)}), [{"v": [1.5, 2], "s": 3}])
        self.assertEqual(messages_of({"p": Pair(1, 2)}), [{"p": [1, 2]}])

    def test_that_are_no_json_are_refused_with_their_path(self) -> None:
        endless: dict[str, Any] = {}
        endless["again"] = endless
        for bad, path in [
            ({"a": {"b": object()}}, "/a/b"),
            ({"a": [1, {2, 3}]}, "/a/1"),
            ({1: "a"}, "its root"),
            ({"n": 2**53 + 1}, "/n"),
            ({"b": b"x"}, "/b"),
            (endless, "/again"),
        ]:
            with self.subTest(path), self.assertRaisesRegex(ResultError, path):
                messages_of(bad)


class Files(unittest.TestCase):
    def found(self, **names: Any) -> str:
        module = type(unittest)("author")
        for name, value in names.items():
            value.__module__ = "author"
            setattr(module, name, value)
        return factory_in(module, None)[0]

    def test_hold_one_calculator(self) -> None:
        class Sum(Calculator[Any, Any]):
            pass

        def calculate(row: Any) -> Any:
            return row

        def other(row: Any) -> Any:
            return row

        self.assertEqual(self.found(calculate=calculate, other=other), "calculate")
        self.assertEqual(self.found(Sum=Sum, calculate=calculate), "Sum")
        self.assertEqual(self.found(Sum=Sum, other=calculator(other)), "other")
        with self.assertRaisesRegex(LookupError, "has no @calculator"):
            self.found(unmarked=calculate)

    def test_with_several_want_a_name(self) -> None:
        class Sum(Calculator[Any, Any]):
            pass

        class Mean(Calculator[Any, Any]):
            pass

        with self.assertRaisesRegex(LookupError, "Sum, Mean"):
            self.found(Sum=Sum, Mean=Mean)


class Calculations(unittest.TestCase):
    def test_take_a_context_where_they_have_room_for_one(self) -> None:
        class Narrow:
            def calculate(self, row: Any) -> Any:
                return [row]

        class Static:
            @staticmethod
            def calculate(row: Any, context: Any = None, **more: Any) -> Any:
                return [row, context]

        for kind, result in [(Narrow, ["row"]), (Static, ["row", "context"])]:
            with self.subTest(kind.__name__):
                self.assertEqual(calculation_of(kind())("row", "context"), result)  # type: ignore[arg-type]

    def test_are_those_of_the_instance_that_was_loaded_or_restored(self) -> None:
        class Narrow:
            def calculate(self, row: Any) -> Any:
                return [row]

        class Silent:
            def send(self, name: str, body: Any) -> None:
                pass

        worker = Worker(Silent())  # type: ignore[arg-type]
        worker._make = Narrow  # type: ignore[assignment]
        worker._restore(None)
        self.assertEqual(worker._outcome("row", Context(0, "graph", "node")), ["row"])


if __name__ == "__main__":
    unittest.main()
