"""The graph of the bench in Bytewax: topic, parse, filter, map, a window of ten seconds for each key, topic.

Run with `python -m bytewax.run trade_windows -r FOLDER -s 1 -b 0`; BROKERS, FROM, TO and TAIL are in the environment.
"""

import json
import os
from datetime import datetime, timedelta, timezone

import bytewax.operators as op
import bytewax.operators.windowing as win
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSource, KafkaSink
from bytewax.dataflow import Dataflow

BROKERS = [os.environ["BROKERS"]]
ALIGN = datetime(2001, 1, 1, tzinfo=timezone.utc)


def parse(message):
    return json.loads(message.value)


def valued(trade):
    price = trade["price"]
    at = datetime.fromisoformat(trade["at"])
    return (trade["symbol"], (at, price, price * trade["qty"]))


def fold(totals, trade):
    n, total, low, high = totals
    _, price, value = trade
    return (n + 1, total + value, min(low, price), max(high, price))


def merge(a, b):
    return (a[0] + b[0], a[1] + b[1], min(a[2], b[2]), max(a[3], b[3]))


def row(keyed):
    symbol, (window, (n, total, low, high)) = keyed
    start = (ALIGN + timedelta(seconds=10 * window)).isoformat()
    body = {"symbol": symbol, "window_start": start, "n": n, "sum": total, "low": low, "high": high}
    return KafkaSinkMessage(symbol.encode(), json.dumps(body).encode())


flow = Dataflow("trade_windows")
source = KafkaSource(BROKERS, [os.environ["FROM"]], tail=os.environ["TAIL"] == "1", batch_size=4096)
messages = op.input("trades", flow, source)
trades = op.map("parse", messages, parse)
large = op.filter("large", trades, lambda trade: trade["qty"] >= 50)
keyed = op.map("valued", large, valued)
clock = win.EventClock(lambda trade: trade[0], wait_for_system_duration=timedelta(seconds=2))
windower = win.TumblingWindower(length=timedelta(seconds=10), align_to=ALIGN)
windows = win.fold_window("windows", keyed, clock, windower, lambda: (0, 0, 1 << 62, 0), fold, merge)
op.output("rows", op.map("row", windows.down, row), KafkaSink(BROKERS, os.environ["TO"]))
