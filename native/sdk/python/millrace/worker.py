"""The program that runs one calculator for a host: loads the author's file, then answers batches until the host is gone."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
import time
import traceback
from typing import Any

from millrace.calculator import Calculator, Context, Factory, calculation_of, factory_in, is_stateful
from millrace.frame import FRAME_BYTES_MAX, PROTOCOL, Channel, encode
from millrace.payload import KEY, PayloadError, Payloads
from millrace.result import ResultError, json_of, messages_of

SDK = "python 0.1.0"
CREDIT_ROWS = 4096
#: Results are gathered for as long, so that whoever waits knows how far the batch is.
GATHER_S = 0.02
#: Or until their payloads are as large.
GATHER_BYTES = 1 << 20

Outcome = list[Any] | dict[str, Any] | None


class Worker:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._file = ""
        self._welcome: dict[str, Any] = {}
        self._make: Factory | None = None
        self._calculator: Calculator[Any, Any] = Calculator()
        self._calculate = self._calculator.calculate
        self._stateful = False
        #: A result since the last frame has bytes in it, and so many.
        self._has_drafts = False
        self._draft_bytes = 0
        self._waiting: list[tuple[str, dict[str, Any]]] = []

    def serve(self) -> None:
        self._channel.send("hello", {"proto": PROTOCOL, "lang": "python", "sdk": SDK})
        while (frame := self._waiting.pop(0) if self._waiting else self._channel.receive()) is not None:
            name, body = frame
            if name == "batch":
                self._batch(body)
            elif name == "snapshot":
                self._channel.send("state", {"id": body["id"], "state": self._snapshot()})
            elif name == "restore":
                self._restore(body.get("state"))
            elif name == "ping":
                self._channel.send("pong", {"n": body["n"]})
            elif name == "welcome":
                self._load(body)
            elif name == "drain":
                self._channel.send("bye", {"reason": "drained"})
                return

    def _load(self, welcome: dict[str, Any]) -> None:
        self._welcome = welcome
        self._file = welcome["file"]
        try:
            name, self._make = factory_in(_import(self._file), welcome.get("export"))
            self._calculator = self._new()
            self._stateful = is_stateful(self._calculator)
            details = json_of(getattr(self._calculator, "details", lambda: None)(), "")
        except Exception as error:  # Whatever is wrong with the file is the author's to know.
            self._channel.send("refused", {"code": "CALC-LOAD", "msg": _describe(error), "place": self._place(error)})
            return
        ready = {"name": name, "stateful": self._stateful, "details": details, "credit": CREDIT_ROWS}
        self._channel.send("ready", ready)

    def _new(self) -> Calculator[Any, Any]:
        assert self._make is not None, "a calculator is made after its file was loaded"
        instance = self._make()
        if hasattr(instance, "init"):
            instance.init(self._welcome.get("config"))
        self._calculate = calculation_of(instance)
        return instance

    def _batch(self, batch: dict[str, Any]) -> None:
        payloads = Payloads(batch.get("payloads"))
        context = Context(batch["at"], self._welcome["graph"], self._welcome["node"], payloads)
        out: list[Outcome] = []
        start = 0
        flushed = time.monotonic()
        for row in batch["rows"]:
            outcome = self._outcome(row, context)
            payloads.end_row()
            out.append(outcome)
            if self._stateful and isinstance(outcome, dict):
                break
            now = time.monotonic()
            if now - flushed < GATHER_S and self._draft_bytes < GATHER_BYTES:
                continue
            self._send_result(self._result(batch, start, out, payloads, end=False))
            start += len(out)
            out = []
            flushed = now
            if self._is_cancelled(batch["id"]):
                break
        self._send_result(self._result(batch, start, out, payloads, end=True))
        if batch["rows"]:
            self._channel.send("credit", {"rows": len(batch["rows"])})

    def _result(
        self, batch: dict[str, Any], start: int, out: list[Outcome], payloads: Payloads, *, end: bool
    ) -> dict[str, Any]:
        result: dict[str, Any] = {"id": batch["id"], "from": start, "out": out, "end": end}
        if payloads.opens:
            result["opens"] = payloads.opens
            payloads.opens = 0
        if self._has_drafts:
            result["drafts"] = True
            self._has_drafts = False
            self._draft_bytes = 0
        return result

    def _send_result(self, result: dict[str, Any]) -> None:
        """In as many frames as it needs. What cannot be sent by itself is a failure of its row."""
        why = "there is a text in it that is no Unicode"
        try:
            frame = encode("result", result)
            if len(frame) <= FRAME_BYTES_MAX:
                self._channel.send_encoded(frame)
                return
            why = f"it takes {len(frame)} bytes, more than a frame holds"
        except UnicodeEncodeError:
            pass
        out = result["out"]
        if len(out) == 1:
            failure = {"code": "CALC-RESULT", "msg": f"the result cannot be sent: {why}", "place": {"file": self._file}}
            self._channel.send("result", {**result, "out": [failure]})
            return
        half = len(out) // 2
        self._send_result({**result, "out": out[:half], "end": False})
        rest = {**result, "from": result["from"] + half, "out": out[half:]}
        rest.pop("opens", None)
        self._send_result(rest)

    def _draft(self, data: bytes, format: str) -> dict[str, Any]:
        self._has_drafts = True
        self._draft_bytes += len(data)
        return {KEY: {"format": format, "bytes": data}}

    def _outcome(self, row: Any, context: Context) -> Outcome:
        try:
            return messages_of(self._calculate(row, context), self._draft) or None
        except ResultError as error:
            return {"code": "CALC-RESULT", "msg": str(error), "place": {"file": self._file}}
        except PayloadError as error:
            return {"code": error.code, "msg": str(error), "place": self._place(error)}
        except MemoryError as error:
            return {"code": "CALC-OOM", "msg": "the calculator ran out of memory", "place": self._place(error)}
        except Exception as error:  # One message's failure is not the others'.
            return {"code": "CALC-THREW", "msg": _describe(error), "place": self._place(error)}

    def _is_cancelled(self, batch: int) -> bool:
        """Looks at what has arrived meanwhile; what is not urgent is kept for later."""
        cancelled = False
        while (frame := self._channel.poll()) is not None:
            name, body = frame
            if name == "cancel":
                cancelled = cancelled or body["id"] == batch
            elif name == "ping":
                self._channel.send("pong", {"n": body["n"]})
            else:
                self._waiting.append(frame)
        return cancelled

    def _snapshot(self) -> Any:
        return json_of(self._calculator.snapshot(), "", bytes_as=lambda data, _: data) if self._stateful else None

    def _restore(self, state: Any) -> None:
        self._calculator = self._new()
        if state is not None:
            self._calculator.restore(state)
        self._channel.send("state", {"id": 0, "state": None})

    def _place(self, error: BaseException) -> dict[str, Any]:
        """The innermost line of the author's file."""
        if isinstance(error, SyntaxError) and error.filename is not None:
            return {"file": error.filename, "line": error.lineno or 1}
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == self._file]
        return {"file": self._file} if not lines else {"file": self._file, "line": lines[-1] or 1}


def _import(path: str) -> Any:
    sys.path.insert(0, os.path.dirname(path))
    spec = importlib.util.spec_from_file_location("calculator_file", path)
    if spec is None or spec.loader is None:
        raise LookupError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _describe(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # Even that is the author's code.
        text = ""
    name = type(error).__name__
    # A text may hold what no encoding has.
    return (f"{name}: {text}" if text else name).encode("utf-8", "replace").decode("utf-8")


def main() -> None:
    path = os.environ.pop("MILLRACE_SOCKET", None)
    if path is None:
        sys.exit("MILLRACE_SOCKET is not set: this program is started by a Millrace host")
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(path)
    try:
        Worker(Channel(connection)).serve()
    except (BrokenPipeError, ConnectionResetError):
        pass  # The host is gone, and with it the work.
