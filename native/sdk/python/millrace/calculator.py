"""What authors see: the base class, the decorator, and how a file's calculator is found."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Generic, TypeVar

from millrace.payload import Payload, PayloadResult, Payloads

Row = TypeVar("Row")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Context:
    """What a calculation may know beside its message."""

    at: float
    """Time of the step in ms since 1970: the same again in a replay, unlike the machine's clock."""
    graph: str
    node: str
    payloads: Payloads = field(default_factory=Payloads, repr=False, compare=False)

    def open(self, value: Any) -> Payload:
        """Opens the payload that a field of the row is, in place. Use its bytes before the row's result is returned."""
        return self.payloads.open(value)

    @staticmethod
    def payload(data: bytes | bytearray | memoryview, format: str = "raw") -> PayloadResult:
        """Bytes for a result, with their format: raw, msgpack, json, npy or arrow. Plain bytes in a result are raw."""
        if format not in ("raw", "msgpack", "json", "npy", "arrow"):
            raise ValueError(f"{format} is no format of payloads")
        return PayloadResult(data, format)


class Calculator(Generic[Row, Result]):
    """Base class. One that defines ``snapshot`` keeps state; the log has it together with the results."""

    def init(self, config: Any) -> None:
        """Called once for every instance, with the node's ``config``."""

    def calculate(self, row: Row, context: Context) -> Result:
        """The message's result. When it raises, a stateful calculator is set back to before the message."""
        raise NotImplementedError("a calculator needs calculate(row, context)")

    def details(self) -> Any:
        """What people see of it beside its node."""
        return None

    def snapshot(self) -> Any:
        """The state as JSON; bytes are allowed too. A dict is logged field by field, only what changed."""
        return None

    def restore(self, state: Any) -> None:
        """Takes a state over. Called on a new instance, after ``init``."""


class FunctionCalculator(Calculator[Any, Any]):
    """A function of ``row``, or of ``row`` and ``context``."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        takes = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
        self._takes_context = len([p for p in takes if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]) > 1

    def calculate(self, row: Any, context: Context) -> Any:
        return self._function(row, context) if self._takes_context else self._function(row)


def calculator(target: Any) -> Any:
    """Marks a function or class as the calculator of its file; it stays what it is."""
    target.__millrace_calculator__ = True
    return target


Factory = Callable[[], Calculator[Any, Any]]


def factory_in(module: ModuleType, name: str | None) -> tuple[str, Factory]:
    """The name of the calculator in a module, and what makes new ones. Raises ``LookupError``."""
    if name is not None:
        if not hasattr(module, name):
            raise LookupError(f"there is no `{name}` in the file")
        return name, _factory(getattr(module, name))
    own = {k: v for k, v in vars(module).items() if getattr(v, "__module__", None) == module.__name__}
    marked = {k: v for k, v in own.items() if vars(v).get("__millrace_calculator__") is True if hasattr(v, "__dict__")}
    classes = {k: v for k, v in own.items() if inspect.isclass(v) and issubclass(v, Calculator)}
    found = marked or classes or {k: v for k, v in own.items() if k == "calculate" and callable(v)}
    if not found:
        raise LookupError("the file has no @calculator, no subclass of Calculator and no calculate(row)")
    if len(found) > 1:
        raise LookupError(f"the file has several calculators, {', '.join(found)}: name one with `export`")
    [(only, target)] = found.items()
    return only, _factory(target)


def _factory(target: Any) -> Factory:
    if inspect.isclass(target):
        if not hasattr(target, "calculate"):
            raise LookupError(f"{target.__name__} has no calculate(row, context)")
        return target
    if not callable(target):
        raise LookupError(f"{target!r} cannot be called")
    return lambda: FunctionCalculator(target)


def calculation_of(instance: Calculator[Any, Any]) -> Callable[[Any, Context], Any]:
    """What calculates a message: ``calculate``, which may leave out ``context`` as a function may."""
    calculate: Callable[..., Any] = instance.calculate
    return calculate if _takes_context(calculate) else lambda row, _: calculate(row)


def _takes_context(calculate: Callable[..., Any]) -> bool:
    try:
        inspect.signature(calculate).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # What is made in C may not say what it takes.
        return True
    return True


def is_stateful(instance: Calculator[Any, Any]) -> bool:
    return getattr(type(instance), "snapshot", Calculator.snapshot) is not Calculator.snapshot
