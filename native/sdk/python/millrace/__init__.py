"""Calculators for Millrace.

A function over one message::

    from millrace import calculator

    @calculator
    def score(row):
        return {**row, "late": row["delay"] > 15}

or a class, which may keep state between messages::

    from millrace import Calculator, Context

    class Total(Calculator):
        def init(self, config):
            self.total = 0

        def calculate(self, row, context: Context):
            self.total += row["n"]
            return {"total": self.total}

        def snapshot(self):
            return {"total": self.total}

        def restore(self, state):
            self.total = state["total"]

``None`` gives no message, a list or an iterator several, anything else one. What is returned is JSON: dicts with text keys, lists,
texts, numbers, booleans and ``None``; numpy values and arrow columns are turned into it. Whatever is raised makes the message a
dead letter, with the line in this file.
"""

from millrace.calculator import Calculator, Context, calculator
from millrace.payload import Payload, PayloadError, PayloadResult

__all__ = ["Calculator", "Context", "Payload", "PayloadError", "PayloadResult", "calculator"]
