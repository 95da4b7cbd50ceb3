"""An unmodified PyPI client against the endpoint at argv[2]: argv[1] is the package. One JSON line per feature on stdout."""

import importlib
import json
import sys
import threading
import time
import traceback
import uuid

package, address = sys.argv[1:3]
api = importlib.import_module(package)
errors = importlib.import_module(package + ".exceptions")
Client = getattr(api, "KurrentDBClient", None) or api.EventStoreDBClient
NewEvent, StreamState = api.NewEvent, api.StreamState


def error(name):
    """Both generations name their errors differently: with and without `Error`."""
    return getattr(errors, name + "Error", None) or getattr(errors, name)


def connect(hosts):
    return Client(f"esdb://{hosts}?Tls=false")


client = connect(address)
features = {}


def feature(name):
    return lambda judge: features.setdefault(name, judge)


def fresh(prefix="s"):
    return f"{prefix}-{uuid.uuid4()}"


def numbers(start, count, type="Counted"):
    return [NewEvent(type=type, data=json.dumps({"n": n}).encode()) for n in range(start, start + count)]


def append(stream, events, state=StreamState.ANY):
    return client.append_to_stream(stream, current_version=state, events=events)


def told(events):
    return [json.loads(event.data)["n"] for event in events]


def refused(kind, action):
    try:
        action()
    except kind as thrown:
        return thrown
    raise AssertionError(f"{kind.__name__} expected")


def take(subscription, count):
    seen = []
    for event in subscription:
        seen.append(event)
        if len(seen) == count:
            break
    subscription.stop()
    return seen


@feature("append, read forwards and backwards")
def _():
    stream = fresh()
    position = append(stream, numbers(0, 5), StreamState.NO_STREAM)
    events = client.get_stream(stream)
    assert told(events) == [0, 1, 2, 3, 4]
    assert [event.stream_position for event in events] == [0, 1, 2, 3, 4]
    assert events[4].commit_position == position and events[0].recorded_at is not None
    assert told(client.get_stream(stream, stream_position=1, limit=2)) == [1, 2]
    assert told(client.get_stream(stream, backwards=True, limit=3)) == [4, 3, 2]
    assert told(client.get_stream(stream, stream_position=1, backwards=True)) == [1, 0]
    assert client.get_current_version(stream) == 4


@feature("every expected revision")
def _():
    stream = fresh()
    wrong = error("WrongCurrentVersion")
    refused(wrong, lambda: append(stream, numbers(0, 1), StreamState.EXISTS))
    refused(wrong, lambda: append(stream, numbers(0, 1), 3))
    append(stream, numbers(0, 1), StreamState.NO_STREAM)
    assert "is 0 not" in str(refused(wrong, lambda: append(stream, numbers(9, 1), StreamState.NO_STREAM)))
    append(stream, numbers(1, 1), 0)
    append(stream, numbers(2, 1), StreamState.EXISTS)
    append(stream, numbers(3, 1))
    assert told(client.get_stream(stream)) == [0, 1, 2, 3]


@feature("a retry writes nothing")
def _():
    stream, events = fresh(), numbers(0, 3)
    for state in (StreamState.NO_STREAM, StreamState.ANY):
        assert append(stream, events, state) == append(stream, events, state)
    assert len(client.get_stream(stream)) == 3
    copy = fresh()
    append(copy, events)
    assert len(client.get_stream(copy)) == 3


@feature("many appends at once")
def _():
    stream = fresh()
    threads = [threading.Thread(target=append, args=(stream, numbers(i, 1))) for i in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told(client.get_stream(stream))) == list(range(40))
    append(stream, numbers(40, 500))
    assert len(client.get_stream(stream)) == 540


@feature("bytes come back as they were")
def _():
    stream, data, metadata = fresh("bytes/ü"), bytes(range(256)), bytes([0, 255, 1])
    append(stream, [NewEvent(type="Raw/版", data=data, metadata=metadata, content_type="application/octet-stream")])
    (event,) = client.get_stream(stream)
    assert (event.type, event.stream_name, event.content_type) == ("Raw/版", stream, "application/octet-stream")
    assert (event.data, event.metadata) == (data, metadata)


@feature("virtual streams: category, type, correlation, streams")
def _():
    category, type, correlation = f"cat{uuid.uuid4().hex[:8]}", fresh("Kind"), str(uuid.uuid4())
    metadata = json.dumps({"$correlationId": correlation}).encode()

    def add(name, *ns):
        append(f"{category}-{name}", [NewEvent(type=type, data=b'{"n":%d}' % n, metadata=metadata) for n in ns])

    add("a", 0, 1)
    append(fresh("other"), numbers(7, 2))
    add("b", 2)
    add("a", 3)
    for name in (f"$ce-{category}", f"$et-{type}", f"$bc-{correlation}"):
        events = client.get_stream(name, resolve_links=True)
        assert told(events) == [0, 1, 2, 3]
        assert [event.link.stream_position for event in events] == [0, 1, 2, 3]
        assert told(client.get_stream(name, resolve_links=True, backwards=True, limit=2)) == [3, 2]
        link = client.get_stream(name, stream_position=2, limit=1)[0]
        assert (link.type, link.data, link.stream_name) == ("$>", f"0@{category}-b".encode(), name)
    names = [event.stream_name for event in client.get_stream("$streams", resolve_links=True)]
    assert [name for name in names if name.startswith(category)] == [f"{category}-a", f"{category}-b"]
    refused(error("NotFound"), lambda: client.get_stream(f"$ce-{fresh()}"))


@feature("virtual streams: subscribe")
def _():
    category = f"cat{uuid.uuid4().hex[:8]}"
    append(f"{category}-1", numbers(0, 2))
    subscription = client.subscribe_to_stream(f"$ce-{category}", resolve_links=True)
    append(f"{category}-2", numbers(2, 1))
    assert told(take(subscription, 3)) == [0, 1, 2]


@feature("read all, both ways")
def _():
    position = append(fresh(), numbers(0, 3))
    assert told(client.read_all(commit_position=position - 2, limit=3)) == [0, 1, 2]
    assert told(client.read_all(backwards=True, limit=2)) == [2, 1]
    assert told(client.read_all(commit_position=position, backwards=True, limit=1)) == [1]
    assert client.get_commit_position() == position


@feature("read all, filtered")
def _():
    type = fresh("Type")
    append(fresh(), numbers(1, 1, type) + numbers(2, 3) + numbers(5, 1, type))
    assert told(client.read_all(filter_include=[type])) == [1, 5]
    assert told(client.read_all(filter_exclude=["Cou.*", r"\$.+", "GraphSaid", "Raw.*", "Large"]))[-2:] == [1, 5]


@feature("subscribe to a stream")
def _():
    stream = fresh()
    append(stream, numbers(0, 2))
    subscription = client.subscribe_to_stream(stream)
    first = [next(subscription), next(subscription)]
    append(stream, numbers(2, 2))
    assert told(first + take(subscription, 2)) == [0, 1, 2, 3]
    assert told(take(client.subscribe_to_stream(stream, stream_position=1), 2)) == [2, 3]
    late = client.subscribe_to_stream(stream, from_end=True)
    append(stream, numbers(7, 1))
    assert told(take(late, 1)) == [7]


@feature("subscribe to a stream that is not there yet")
def _():
    stream = fresh()
    subscription = client.subscribe_to_stream(stream)
    append(stream, numbers(0, 1))
    assert told(take(subscription, 1)) == [0]


@feature("subscribe to all, by type prefix")
def _():
    type = fresh("Wanted")
    append(fresh(), numbers(0, 1, type) + numbers(1, 200) + numbers(201, 1, type))
    subscription = client.subscribe_to_all(filter_include=[type + ".*"], include_caught_up=True)
    seen = [next(subscription), next(subscription), next(subscription)]
    assert told(seen[:2]) == [0, 201] and isinstance(seen[2], api.CaughtUp)
    append(fresh(), numbers(0, 5) + numbers(9, 1, type))
    assert told(take(subscription, 1)) == [9]


@feature("subscribe to all, by expression, with checkpoints")
def _():
    stream = fresh("only")
    position = append(fresh("other"), numbers(0, 300))
    subscription = client.subscribe_to_all(
        filter_include=[stream], filter_by_stream_name=True, include_checkpoints=True, window_size=10
    )
    append(stream, numbers(1, 1))
    seen = []
    while not seen or isinstance(seen[-1], api.Checkpoint):
        seen.append(next(subscription))
    subscription.stop()
    assert told(seen[-1:]) == [1]
    assert any(checkpoint.commit_position >= position for checkpoint in seen[:-1])
    refused(Exception, lambda: take(client.subscribe_to_all(filter_include=["("]), 1))


@feature("links are resolved")
def _():
    stream, links = fresh(), fresh("links")
    append(stream, numbers(0, 3))
    append(links, [NewEvent(type="$>", data=f"{n}@{stream}".encode()) for n in (2, 0, 7)])
    resolved = client.get_stream(links, resolve_links=True)
    assert told(resolved) == [2, 0]
    assert [event.link.stream_position for event in resolved] == [0, 1]
    assert [event.type for event in client.get_stream(links)] == ["$>", "$>", "$>"]


@feature("metadata: max count, truncation, max age")
def _():
    stream = fresh()
    append(stream, numbers(0, 6))
    client.set_stream_metadata(stream, metadata={"$maxCount": 3, "owner": "me"})
    assert client.get_stream_metadata(stream) == ({"$maxCount": 3, "owner": "me"}, 0)
    assert told(client.get_stream(stream)) == [3, 4, 5]
    assert told(client.get_stream(stream, backwards=True)) == [5, 4, 3]
    client.set_stream_metadata(stream, metadata={"$tb": 5}, current_version=0)
    assert told(client.get_stream(stream)) == [5]
    client.set_stream_metadata(stream, metadata={"$maxAge": 3600})
    assert told(client.get_stream(stream)) == [0, 1, 2, 3, 4, 5]


@feature("soft delete, and a new life")
def _():
    stream = fresh()
    append(stream, numbers(0, 2))
    refused(error("WrongCurrentVersion"), lambda: client.delete_stream(stream, current_version=7))
    client.delete_stream(stream, current_version=1)
    client.delete_stream(stream, current_version=1)
    refused(error("NotFound"), lambda: client.get_stream(stream))
    assert client.get_current_version(stream) == StreamState.NO_STREAM
    append(stream, numbers(5, 1), StreamState.NO_STREAM)
    assert told(client.get_stream(stream)) == [5] and client.get_current_version(stream) == 2


@feature("tombstone")
def _():
    stream = fresh()
    append(stream, numbers(0, 1))
    client.tombstone_stream(stream, current_version=0)
    refused(error("StreamIsDeleted"), lambda: append(stream, numbers(1, 1)))
    refused(error("StreamIsDeleted"), lambda: client.delete_stream(stream, current_version=StreamState.ANY))
    refused(Exception, lambda: client.get_stream(stream))
    client.tombstone_stream(fresh(), current_version=StreamState.NO_STREAM)


@feature("a missing stream")
def _():
    refused(error("NotFound"), lambda: client.get_stream(fresh()))
    refused(error("NotFound"), lambda: client.delete_stream(fresh(), current_version=StreamState.ANY))


@feature("an append that is too large")
def _():
    large = [NewEvent(type="Large", data=b'"' + b"x" * (2 << 20) + b'"')]
    refused(error("MaximumAppendSizeExceeded"), lambda: append(fresh(), large))


@feature("gossip finds the leader")
def _():
    cluster, stream = connect(f"{address},{address}"), fresh()
    cluster.append_to_stream(stream, current_version=StreamState.NO_STREAM, events=numbers(0, 1))
    assert len(cluster.get_stream(stream)) == 1
    cluster.close()
    (member,) = client.read_gossip()
    assert f"{member.address}:{member.port}" == address


@feature("events of graphs, as JSON")
def _():
    (event,) = client.get_stream("late-flights/by-airport")
    assert (event.type, event.content_type) == ("GraphSaid", "application/json")
    assert json.loads(event.data)["hello"] == "graph" and json.loads(event.metadata)["graph"] == "late-flights"
    refused(errors.AccessDeniedError, lambda: append("late-flights/by-airport", numbers(0, 1)))


@feature("persistent subscription: ack, retry, skip, park, replay")
def _():
    stream = fresh()
    client.create_subscription_to_stream("group", stream)
    refused(error("AlreadyExists"), lambda: client.create_subscription_to_stream("group", stream))
    append(stream, numbers(0, 4))
    subscription, seen = client.read_subscription_to_stream("group", stream), []
    for event in subscription:
        (n,) = told([event])
        seen.append((n, event.retry_count))
        if n == 1 and event.retry_count == 0:
            subscription.nack(event, "retry")
        elif n == 2:
            subscription.nack(event, "skip")
        elif n == 3 and len(seen) < 6:
            subscription.nack(event, "park")
        else:
            subscription.ack(event)
        if len(seen) == 5:
            append(stream, numbers(9, 1))
        if len(seen) == 6:
            # An answer is on its way until the server has it on disk.
            while client.get_subscription_info("group", stream).parked_message_count < 1:
                threading.Event().wait(0.02)
            client.replay_parked_events("group", stream)
        if len(seen) == 7:
            break
    subscription.stop()
    assert seen == [(0, 0), (1, 0), (2, 0), (3, 0), (1, 1), (9, 0), (3, 0)], seen
    refused(error("NotFound"), lambda: client.read_subscription_to_stream("nobody", stream))


@feature("persistent subscription: info, list, update, delete")
def _():
    stream = fresh()
    client.create_subscription_to_stream("group", stream, stream_position=2, max_retry_count=3, message_timeout=1.5)
    info = client.get_subscription_info("group", stream)
    assert (info.event_source, info.group_name, info.start_from) == (stream, "group", "2")
    assert (info.max_retry_count, info.message_timeout) == (3, 1.5)
    client.update_subscription_to_stream("group", stream, max_retry_count=7)
    (listed,) = client.list_subscriptions_to_stream(stream)
    assert (listed.max_retry_count, listed.message_timeout, listed.start_from) == (7, 1.5, "2")
    assert any(one.event_source == stream for one in client.list_subscriptions())
    append(stream, numbers(0, 4))
    subscription, seen = client.read_subscription_to_stream("group", stream), []
    for event in subscription:
        seen.append(event)
        subscription.ack(event)
        if len(seen) == 2:
            break
    assert told(seen) == [2, 3]
    subscription.stop()
    client.delete_subscription("group", stream)
    refused(error("NotFound"), lambda: client.get_subscription_info("group", stream))


@feature("persistent subscription to all, shared")
def _():
    type, group = fresh("Shared"), fresh("group")
    client.create_subscription_to_all(group, filter_include=[type], consumer_strategy="RoundRobin")
    seen, lock = [], threading.Lock()

    def consume(subscription):
        for event in subscription:
            with lock:
                seen.extend(told([event]))
            subscription.ack(event)

    both = [client.read_subscription_to_all(group) for _ in range(2)]
    threads = [threading.Thread(target=consume, args=(one,), daemon=True) for one in both]
    for thread in threads:
        thread.start()
    append(fresh(), numbers(0, 20, type))
    for _ in range(100):
        if len(seen) >= 20:
            break
        threading.Event().wait(0.05)
    assert sorted(seen) == list(range(20)), seen
    assert client.get_subscription_info(group).event_source == "$all"
    for one in both:
        one.stop()
    client.delete_subscription(group)


@feature("projection: create, state, result, statistics")
def _():
    category, name = f"acc{uuid.uuid4().hex[:8]}", fresh("projection")
    append(f"{category}-a", numbers(1, 3))
    handlers = "{ $init: () => ({ sum: 0 }), Counted: (s, e) => { s.sum += e.data.n; } }"
    client.create_projection(name=name, query=f'fromCategory("{category}").when({handlers})')
    while client.get_projection_state(name=name).value != {"sum": 6}:
        time.sleep(0.005)
    statistics = client.get_projection_statistics(name=name)
    assert (statistics.name, statistics.mode, statistics.status) == (name, "Continuous", "Running")
    if hasattr(client, "list_all_projection_statistics"):
        assert name in [one.name for one in client.list_continuous_projection_statistics()]
        assert "$by_category" in [one.name for one in client.list_all_projection_statistics()]
    refused(error("AlreadyExists"), lambda: client.create_projection(name=name, query="fromAll()"))
    refused(error("NotFound"), lambda: client.get_projection_state(name=fresh()))
    client.disable_projection(name=name)
    assert client.get_projection_statistics(name=name).status == "Stopped"
    client.enable_projection(name=name)
    client.reset_projection(name=name)
    while client.get_projection_state(name=name).value != {"sum": 6}:
        time.sleep(0.005)
    client.update_projection(name=name, query=f'fromCategory("{category}").when({handlers}).outputState()')
    # The older client cannot abort, and only a projection that does not run can be deleted.
    getattr(client, "abort_projection", client.disable_projection)(name=name)
    client.delete_projection(name=name)
    refused(error("NotFound"), lambda: client.get_projection_statistics(name=name))


for name, judge in features.items():
    try:
        absent = judge()
        print(json.dumps({"feature": name, "ok": True, "absent": absent}), flush=True)
    except Exception:
        print(json.dumps({"feature": name, "ok": False, "why": traceback.format_exc()}), flush=True)
client.close()
