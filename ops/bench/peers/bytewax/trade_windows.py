"""The graph of the bench in Bytewax: topic, parse, filter, map, a window of ten seconds for each key, topic."""

import os
from datetime import datetime, timedelta, timezone

import bytewax.operators as op
import bytewax.operators.windowing as windowing
import orjson
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow

QTY_MIN = 50
BATCH = 1000
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# Time of the host counts for nothing: the topic is read faster than it was written, and a pause of a second must not make a trade late.
CLOCK = windowing.EventClock(
    lambda trade: trade[0],
    wait_for_system_duration=timedelta(seconds=2),
    now_getter=lambda: EPOCH,
    to_system_utc=lambda _: None,
)


def valued(trade):
    price = trade["price"]
    return trade["symbol"], (datetime.fromisoformat(trade["at"]), price, price * trade["qty"])


def with_trade(totals, trade):
    n, value, low, high = totals
    _, price, worth = trade
    return n + 1, value + worth, min(low, price), max(high, price)


def merged(one, other):
    return one[0] + other[0], one[1] + other[1], min(one[2], other[2]), max(one[3], other[3])


def message(item):
    symbol, (window, (n, value, low, high)) = item
    start = EPOCH + window * timedelta(seconds=10)
    row = {"symbol": symbol, "window_start": start.isoformat(), "n": n, "sum": value, "low": low, "high": high}
    return KafkaSinkMessage(symbol.encode(), orjson.dumps(row))


brokers = [os.environ["TRADES_BROKERS"]]
flow = Dataflow("trades")
read = op.input("read", flow, KafkaSource(brokers, [os.environ["TRADES_FROM"]], tail=False, batch_size=BATCH))
parsed = op.map("parse", read, lambda received: orjson.loads(received.value))
large = op.filter("large", parsed, lambda trade: trade["qty"] >= QTY_MIN)
by_symbol = op.map("value", large, valued)
windows = windowing.fold_window(
    "windows",
    by_symbol,
    CLOCK,
    windowing.TumblingWindower(align_to=EPOCH, length=timedelta(seconds=10)),
    lambda: (0, 0, float("inf"), 0),
    with_trade,
    merged,
)
op.output("write", op.map("row", windows.down, message), KafkaSink(brokers, os.environ["TRADES_TO"]))
