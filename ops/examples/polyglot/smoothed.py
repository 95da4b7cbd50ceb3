"""The exponentially weighted mean of each sensor, and how far a reading is from it. The means are state, kept by the log."""

from typing import TypedDict

from millrace import Calculator, Context


class Celsius(TypedDict):
    sensor: str
    celsius: float


class Smoothed(Calculator[Celsius, dict]):
    def init(self, config):
        self.weight = config["weight"]
        self.means: dict[str, float] = {}

    def calculate(self, row: Celsius, context: Context):
        mean = self.means.get(row["sensor"], row["celsius"])
        deviation = row["celsius"] - mean
        self.means[row["sensor"]] = mean + self.weight * deviation
        return {**row, "mean": round(self.means[row["sensor"]], 3), "deviation": round(deviation, 3)}

    def details(self):
        return {"weight": self.weight}

    def snapshot(self):
        return self.means

    def restore(self, state):
        self.means = dict(state)
