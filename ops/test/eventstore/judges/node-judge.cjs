// An unmodified npm client against the endpoint at argv[3]: argv[2] is the package. One JSON line per feature on stdout.
// CommonJS, since both clients are; one package per process, since their generated classes register globally.
const assert = require("node:assert/strict");
const { randomUUID } = require("node:crypto");

const [, , name, address] = process.argv;
const api = require(name);
const isOld = name === "@eventstore/db-client";
const Client = isOld ? api.EventStoreDBClient : api.KurrentDBClient;
const { jsonEvent, binaryEvent, BACKWARDS, END, NO_STREAM, STREAM_EXISTS, ANY, LINK_TYPE = "$>" } = api;
/** Calls have ten seconds unless it is said, which a busy machine may take. */
const SETTINGS = "tls=false&throwOnAppendFailure=true&defaultDeadline=60000";
const connect = (hosts) => Client.connectionString(`esdb://${hosts}?${SETTINGS}`);
const client = connect(address);
/** What both generations of the client call by different names. */
const expecting = (state) => ({ expectedRevision: state, ...(isOld ? {} : { streamState: state }) });
const fresh = (prefix = "s") => `${prefix}-${randomUUID()}`;
const numbers = (from, count) =>
  Array.from({ length: count }, (_, i) => jsonEvent({ type: "Counted", data: { n: from + i } }));
const gather = async (reading) => {
  const events = [];
  for await (const one of reading) if (one.event || one.link) events.push(one);
  return events;
};
const refused = async (type, action) => {
  try {
    await action();
  } catch (error) {
    assert.equal(error.type, type, error.stack);
    return error;
  }
  assert.fail(`${type} expected`);
};
/** Refused, whatever type of error the client makes of it. */
const refusedWith = (message, action) => assert.rejects(action, (error) => message.test(error.message));
/** Asks until the answer is as wanted; the time-out of the feature ends what never is. */
const until = async (ask, isWanted) => {
  for (;;) {
    const answer = await ask();
    if (isWanted(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};
/** Collects from a subscription until `done`. */
const follow = (subscription, done, onOpen = () => {}) =>
  new Promise((resolve, reject) => {
    const seen = [];
    const look = (entry) => {
      seen.push(entry);
      if (done(seen)) subscription.unsubscribe().then(() => resolve(seen), reject);
    };
    subscription.on("error", reject);
    subscription.on("data", (one) => look(one.event?.data?.n ?? one.event?.id ?? one));
    subscription.on("caughtUp", () => look("caughtUp"));
    onOpen(look);
  });

const features = {
  "append, read forwards and backwards": async () => {
    const stream = fresh();
    const result = await client.appendToStream(stream, numbers(0, 5), expecting(NO_STREAM));
    assert.equal(result.nextExpectedRevision, 4n);
    const forwards = await gather(client.readStream(stream));
    assert.deepEqual(
      forwards.map(({ event }) => [event.revision, event.data.n]),
      [0n, 1n, 2n, 3n, 4n].map((r) => [r, Number(r)]),
    );
    assert.equal(forwards[4].event.position.commit, result.position.commit);
    assert.ok(Math.abs(Date.now() - forwards[0].event.created.getTime()) < 60_000);
    const some = await gather(client.readStream(stream, { fromRevision: 1n, maxCount: 2 }));
    assert.deepEqual(
      some.map(({ event }) => event.data.n),
      [1, 2],
    );
    const back = await gather(client.readStream(stream, { direction: BACKWARDS, fromRevision: END, maxCount: 3 }));
    assert.deepEqual(
      back.map(({ event }) => event.data.n),
      [4, 3, 2],
    );
    const backFrom = await gather(client.readStream(stream, { direction: BACKWARDS, fromRevision: 1n }));
    assert.deepEqual(
      backFrom.map(({ event }) => event.data.n),
      [1, 0],
    );
  },
  "every expected revision": async () => {
    const stream = fresh();
    await refused("wrong-expected-version", () =>
      client.appendToStream(stream, numbers(0, 1), expecting(STREAM_EXISTS)),
    );
    await refused("wrong-expected-version", () => client.appendToStream(stream, numbers(0, 1), expecting(3n)));
    await client.appendToStream(stream, numbers(0, 1), expecting(NO_STREAM));
    const error = await refused("wrong-expected-version", () =>
      client.appendToStream(stream, numbers(9, 1), expecting(NO_STREAM)),
    );
    assert.equal(error.actualVersion ?? error.actualState, 0n);
    await client.appendToStream(stream, numbers(1, 1), expecting(0n));
    await client.appendToStream(stream, numbers(2, 1), expecting(STREAM_EXISTS));
    await client.appendToStream(stream, numbers(3, 1), expecting(ANY));
    assert.deepEqual(
      (await gather(client.readStream(stream))).map(({ event }) => event.data.n),
      [0, 1, 2, 3],
    );
  },
  "a retry writes nothing": async () => {
    const stream = fresh();
    const events = numbers(0, 3);
    for (const state of [NO_STREAM, ANY]) {
      const first = await client.appendToStream(stream, events, expecting(state));
      const again = await client.appendToStream(stream, events, expecting(state));
      assert.deepEqual(again.nextExpectedRevision, first.nextExpectedRevision);
    }
    assert.equal((await gather(client.readStream(stream))).length, 3);
    // The same event in another stream is no retry.
    const copy = fresh();
    await client.appendToStream(copy, events, expecting(ANY));
    assert.equal((await gather(client.readStream(copy))).length, 3);
  },
  "many appends at once": async () => {
    const stream = fresh();
    await Promise.all(Array.from({ length: 40 }, (_, i) => client.appendToStream(stream, numbers(i, 1))));
    const stored = await gather(client.readStream(stream));
    assert.deepEqual(
      stored.map(({ event }) => event.data.n),
      Array.from({ length: 40 }, (_, i) => i),
    );
    await client.appendToStream(stream, numbers(40, 500));
    assert.equal((await gather(client.readStream(stream))).length, 540);
  },
  "bytes come back as they were": async () => {
    const stream = fresh("bytes/ü");
    const data = Uint8Array.from({ length: 300 }, (_, i) => i);
    const metadata = Uint8Array.from([0, 255, 1]);
    await client.appendToStream(stream, binaryEvent({ type: "Raw/版", data, metadata }));
    const [{ event }] = await gather(client.readStream(stream));
    assert.deepEqual([event.type, event.isJson, event.streamId], ["Raw/版", false, stream]);
    assert.deepEqual([...event.data], [...data]);
    assert.deepEqual([...event.metadata], [...metadata]);
  },
  "read all, both ways": async () => {
    const stream = fresh();
    const { position } = await client.appendToStream(stream, numbers(0, 3));
    const from = { commit: position.commit - 2n, prepare: position.commit - 2n };
    const forwards = await gather(client.readAll({ fromPosition: from, maxCount: 3 }));
    assert.deepEqual(
      forwards.map(({ event }) => event.data.n),
      [0, 1, 2],
    );
    const back = await gather(client.readAll({ direction: BACKWARDS, fromPosition: END, maxCount: 2 }));
    assert.deepEqual(
      back.map(({ event }) => event.data.n),
      [2, 1],
    );
    const before = await gather(client.readAll({ direction: BACKWARDS, fromPosition: position, maxCount: 1 }));
    assert.deepEqual(
      before.map(({ event }) => event.data.n),
      [1],
    );
  },
  "read all, filtered": async () => {
    if (isOld) return "the client has no filter for reads";
    const type = fresh("Type");
    await client.appendToStream(fresh(), [
      jsonEvent({ type, data: { n: 1 } }),
      ...numbers(2, 3),
      jsonEvent({ type, data: { n: 5 } }),
    ]);
    const filter = api.eventTypeFilter({ prefixes: [type] });
    assert.deepEqual(
      (await gather(client.readAll({ filter }))).map(({ event }) => event.data.n),
      [1, 5],
    );
  },
  "subscribe to a stream": async () => {
    const stream = fresh();
    await client.appendToStream(stream, numbers(0, 2));
    const seen = await follow(client.subscribeToStream(stream), (all) => {
      if (all.length === 3) void client.appendToStream(stream, numbers(2, 2));
      return all.length === 5;
    });
    assert.deepEqual(seen, [0, 1, "caughtUp", 2, 3]);
    const later = await follow(client.subscribeToStream(stream, { fromRevision: 1n }), (all) => all.length === 3);
    assert.deepEqual(later, [2, 3, "caughtUp"]);
    const late = await follow(client.subscribeToStream(stream, { fromRevision: END }), (all) => {
      if (all.length === 1) void client.appendToStream(stream, numbers(7, 1));
      return all.length === 2;
    });
    assert.deepEqual(late, ["caughtUp", 7]);
  },
  "subscribe to a stream that is not there yet": async () => {
    const stream = fresh();
    const seen = await follow(client.subscribeToStream(stream), (all) => {
      if (all.length === 1) void client.appendToStream(stream, numbers(0, 1));
      return all.length === 2;
    });
    assert.deepEqual(seen, ["caughtUp", 0]);
  },
  "subscribe to all, by type prefix": async () => {
    const type = fresh("Wanted");
    const wanted = (n) => jsonEvent({ type, data: { n } });
    await client.appendToStream(fresh(), [wanted(0), ...numbers(1, 200), wanted(201)]);
    const filter = api.eventTypeFilter({ prefixes: [type], maxSearchWindow: 32 });
    const seen = await follow(client.subscribeToAll({ filter }), (all) => {
      if (all.length === 3) void client.appendToStream(fresh(), [...numbers(0, 5), wanted(9)]);
      return all.length === 4;
    });
    assert.deepEqual(seen, [0, 201, "caughtUp", 9]);
  },
  "subscribe to all, by expression, with checkpoints": async () => {
    const stream = fresh("only");
    const { position } = await client.appendToStream(fresh("other"), numbers(0, 300));
    await client.appendToStream(stream, numbers(1, 1));
    const checkpoints = [];
    const filter = api.streamNameFilter({
      regex: `^${stream}$`,
      checkpointInterval: 1,
      checkpointReached: (_, at) => checkpoints.push(at.commit),
    });
    const seen = await follow(client.subscribeToAll({ filter }), (all) => {
      if (all.length === 2)
        void client
          .appendToStream(fresh("other"), numbers(0, 200))
          .then(() => client.appendToStream(stream, numbers(2, 1)));
      return all.length === 3;
    });
    assert.deepEqual(seen, [1, "caughtUp", 2]);
    assert.ok(
      checkpoints.some((commit) => commit > position.commit),
      `checkpoints ${checkpoints}`,
    );
    await refused("unknown", () =>
      follow(client.subscribeToAll({ filter: api.streamNameFilter({ regex: "(" }) }), () => false),
    );
  },
  "links are resolved": async () => {
    const stream = fresh();
    const links = fresh("links");
    await client.appendToStream(stream, numbers(0, 3));
    await client.appendToStream(
      links,
      [2, 0, 7].map((n) => binaryEvent({ type: LINK_TYPE, data: Buffer.from(`${n}@${stream}`) })),
    );
    const resolved = await gather(client.readStream(links, { resolveLinkTos: true }));
    assert.deepEqual(
      resolved.map(({ event, link }) => [event?.data.n, link?.revision]),
      [
        [2, 0n],
        [0, 1n],
        [undefined, 2n],
      ],
    );
    const plain = await gather(client.readStream(links));
    assert.deepEqual(
      plain.map(({ event }) => event.type),
      ["$>", "$>", "$>"],
    );
  },
  "virtual streams: category, type, correlation, streams": async () => {
    const category = `cat${randomUUID().slice(0, 8)}`;
    const correlation = randomUUID();
    const type = fresh("Kind");
    const stream = (n) => `${category}-${n}`;
    const one = (n) => jsonEvent({ type, data: { n }, metadata: { $correlationId: correlation } });
    await client.appendToStream(stream("a"), [one(0), one(1)]);
    await client.appendToStream(fresh("other"), numbers(7, 2));
    await client.appendToStream(stream("b"), [one(2)]);
    await client.appendToStream(stream("a"), [one(3)]);
    const told = async (name, options) =>
      (await gather(client.readStream(name, options))).map(({ event, link }) => [
        event?.data.n,
        Number(link?.revision),
      ]);
    for (const name of [`$ce-${category}`, `$et-${type}`, `$bc-${correlation}`]) {
      const all = [0, 1, 2, 3].map((n) => [n, n]);
      assert.deepEqual(await told(name, { resolveLinkTos: true }), all, name);
      const backwards = { direction: BACKWARDS, fromRevision: END, resolveLinkTos: true };
      assert.deepEqual(await told(name, { ...backwards, maxCount: 2 }), [all[3], all[2]]);
      assert.deepEqual(await told(name, { ...backwards, fromRevision: 1n }), [all[1], all[0]]);
      assert.deepEqual(await told(name, { fromRevision: 2n, maxCount: 1, resolveLinkTos: true }), [all[2]]);
      const [first, , third] = await gather(client.readStream(name));
      assert.deepEqual(
        [first.event.type, first.event.streamId, first.event.revision, first.link],
        ["$>", name, 0n, undefined],
      );
      assert.equal(Buffer.from(third.event.data).toString(), `0@${stream("b")}`);
      const [again] = await gather(client.readStream(name));
      assert.equal(again.event.id, first.event.id);
      await refused("access-denied", () => client.appendToStream(name, numbers(0, 1)));
    }
    const starts = (await gather(client.readStream("$streams", { resolveLinkTos: true }))).map(({ event }) => event);
    assert.deepEqual(
      starts.filter((event) => event?.streamId.startsWith(category)).map((event) => [event.streamId, event.revision]),
      [stream("a"), stream("b")].map((name) => [name, 0n]),
    );
    for (const name of [`$ce-${fresh()}`, `$et-${fresh()}`, `$bc-${randomUUID()}`, "$bc-nothing"])
      await refused("stream-not-found", () => gather(client.readStream(name)));
    // What a reader of the stream itself does not see is not seen through a link either.
    await client.setStreamMetadata(stream("a"), { truncateBefore: 1 });
    await client.deleteStream(stream("b"));
    assert.deepEqual(await told(`$ce-${category}`, { resolveLinkTos: true }), [
      [undefined, 0],
      [1, 1],
      [undefined, 2],
      [3, 3],
    ]);
  },
  "virtual streams: subscribe": async () => {
    const category = `cat${randomUUID().slice(0, 8)}`;
    const add = (n) => client.appendToStream(`${category}-${n}`, numbers(n, 1));
    await add(0);
    await add(1);
    const settings = { resolveLinkTos: true };
    const seen = await follow(client.subscribeToStream(`$ce-${category}`, settings), (all) => {
      if (all.length === 3) void client.appendToStream(fresh("other"), numbers(5, 1)).then(() => add(2));
      return all.length === 4;
    });
    assert.deepEqual(seen, [0, 1, "caughtUp", 2]);
    const later = await follow(
      client.subscribeToStream(`$ce-${category}`, { ...settings, fromRevision: 0n }),
      (all) => all.length === 3,
    );
    assert.deepEqual(later, [1, 2, "caughtUp"]);
  },
  "virtual streams: persistent subscription": async () => {
    const category = `cat${randomUUID().slice(0, 8)}`;
    const list = `$ce-${category}`;
    const defaults = api.persistentSubscriptionToStreamSettingsFromDefaults;
    const settings = defaults({ startFrom: api.START, resolveLinkTos: true });
    for (const n of [0, 1, 2]) await client.appendToStream(`${category}-${n}`, numbers(n, 1));
    await client.createPersistentSubscriptionToStream(list, "group", settings);
    const subscription = client.subscribeToPersistentSubscriptionToStream(list, "group");
    const seen = [];
    for await (const one of subscription) {
      seen.push([one.event.data.n, one.link?.streamId, Number(one.link?.revision)]);
      if (seen.length === 2) await subscription.nack("park", "cannot", one);
      else await subscription.ack(one);
      if (seen.length === 3) await client.appendToStream(`${category}-3`, numbers(3, 1));
      if (seen.length === 4) {
        while ((await client.getPersistentSubscriptionToStreamInfo(list, "group")).stats.parkedMessageCount < 1n);
        await client.replayParkedMessagesToStream(list, "group");
      }
      if (seen.length === 5) break;
    }
    assert.deepEqual(
      seen.slice(0, 4),
      [0, 1, 2, 3].map((n) => [n, list, n]),
    );
    assert.equal(seen[4][0], 1);
    await subscription.unsubscribe().catch(() => {});
  },
  "metadata: max count, truncation, max age": async () => {
    const stream = fresh();
    await client.appendToStream(stream, numbers(0, 6));
    await client.setStreamMetadata(stream, { maxCount: 3, cacheControl: 10, owner: "me" });
    const { metadata } = await client.getStreamMetadata(stream);
    assert.deepEqual({ ...metadata }, { maxCount: 3, cacheControl: 10, owner: "me" });
    const visible = async () => (await gather(client.readStream(stream))).map(({ event }) => event.data.n);
    assert.deepEqual(await visible(), [3, 4, 5]);
    const back = await gather(client.readStream(stream, { direction: BACKWARDS, fromRevision: END }));
    assert.deepEqual(
      back.map(({ event }) => event.data.n),
      [5, 4, 3],
    );
    await client.setStreamMetadata(stream, { truncateBefore: 5 });
    assert.deepEqual(await visible(), [5]);
    await client.setStreamMetadata(stream, { maxAge: 3600 });
    assert.deepEqual(await visible(), [0, 1, 2, 3, 4, 5]);
  },
  "soft delete, and a new life": async () => {
    const stream = fresh();
    await client.appendToStream(stream, numbers(0, 2));
    await refused("wrong-expected-version", () => client.deleteStream(stream, expecting(7n)));
    const { position } = await client.deleteStream(stream, expecting(1n));
    assert.ok(position.commit > 0n);
    await refused("stream-not-found", () => gather(client.readStream(stream)));
    const { nextExpectedRevision } = await client.appendToStream(stream, numbers(5, 1), expecting(NO_STREAM));
    assert.equal(nextExpectedRevision, 2n);
    assert.deepEqual(
      (await gather(client.readStream(stream))).map(({ event }) => event.data.n),
      [5],
    );
  },
  tombstone: async () => {
    const stream = fresh();
    await client.appendToStream(stream, numbers(0, 1));
    await client.tombstoneStream(stream, expecting(0n));
    const error = await refused("stream-deleted", () => client.appendToStream(stream, numbers(1, 1)));
    assert.equal(error.streamName, stream);
    await refused("stream-deleted", () => gather(client.readStream(stream)));
    await refused("stream-deleted", () => client.deleteStream(stream));
    await client.tombstoneStream(fresh(), expecting(NO_STREAM));
  },
  "a missing stream": async () => {
    const stream = fresh();
    const error = await refused("stream-not-found", () => gather(client.readStream(stream)));
    assert.equal(error.streamName, stream);
    const deletion = await refused("wrong-expected-version", () => client.deleteStream(stream));
    assert.equal(deletion.actualVersion ?? deletion.actualState, -1n);
  },
  "an append that is too large": async () => {
    const large = jsonEvent({ type: "Large", data: { text: "x".repeat(2 << 20) } });
    const error = await refused("maximum-append-size-exceeded", () => client.appendToStream(fresh(), large));
    assert.equal(error.maxAppendSize, 1 << 20);
  },
  "gossip finds the leader": async () => {
    const cluster = connect(`${address},${address}`);
    const stream = fresh();
    await cluster.appendToStream(stream, numbers(0, 1));
    assert.equal((await gather(cluster.readStream(stream))).length, 1);
    await cluster.dispose();
  },
  "events of graphs, as JSON": async () => {
    const [{ event }] = await gather(client.readStream("late-flights/by-airport"));
    assert.deepEqual([event.type, event.isJson, event.data.hello], ["GraphSaid", true, "graph"]);
    assert.equal(event.metadata.graph, "late-flights");
    await refused("access-denied", () => client.appendToStream("late-flights/by-airport", numbers(0, 1)));
    await refused("access-denied", () => client.tombstoneStream("late-flights/by-airport"));
  },
  "persistent subscription: ack, retry, skip, park, replay": async () => {
    const stream = fresh();
    const settings = api.persistentSubscriptionToStreamSettingsFromDefaults({ startFrom: api.START });
    await client.createPersistentSubscriptionToStream(stream, "group", settings);
    const error = await refused("persistent-subscription-exists", () =>
      client.createPersistentSubscriptionToStream(stream, "group", settings),
    );
    assert.deepEqual([error.streamName, error.groupName], [stream, "group"]);
    await client.appendToStream(stream, numbers(0, 4));
    const subscription = client.subscribeToPersistentSubscriptionToStream(stream, "group");
    const seen = [];
    for await (const one of subscription) {
      seen.push([one.event.data.n, one.retryCount]);
      if (one.event.data.n === 1 && one.retryCount === 0) await subscription.nack("retry", "once more", one);
      else if (one.event.data.n === 2) await subscription.nack("skip", "no", one);
      else if (one.event.data.n === 3 && seen.length < 6) await subscription.nack("park", "cannot", one);
      else await subscription.ack(one);
      if (seen.length === 5) await client.appendToStream(stream, numbers(9, 1));
      if (seen.length === 6) {
        // An answer is on its way until the server has it on disk.
        while ((await client.getPersistentSubscriptionToStreamInfo(stream, "group")).stats.parkedMessageCount < 1n);
        await client.replayParkedMessagesToStream(stream, "group");
      }
      if (seen.length === 7) break;
    }
    assert.deepEqual(seen.slice(0, 4), [
      [0, 0],
      [1, 0],
      [2, 0],
      [3, 0],
    ]);
    assert.deepEqual(seen.slice(4), [
      [1, 1],
      [9, 0],
      [3, 0],
    ]);
    await subscription.unsubscribe().catch(() => {});
    await refused("persistent-subscription-does-not-exist", () =>
      gather(client.subscribeToPersistentSubscriptionToStream(stream, "nobody")),
    );
  },
  "persistent subscription: info, list, update, delete": async () => {
    const stream = fresh();
    const settings = api.persistentSubscriptionToStreamSettingsFromDefaults({
      startFrom: 2n,
      maxRetryCount: 3,
      messageTimeout: 1234,
    });
    await client.createPersistentSubscriptionToStream(stream, "group", settings);
    const info = await client.getPersistentSubscriptionToStreamInfo(stream, "group");
    assert.deepEqual([info.eventSource, info.groupName, info.settings.startFrom], [stream, "group", 2n]);
    assert.deepEqual([info.settings.maxRetryCount, info.settings.messageTimeout], [3, 1234]);
    await client.updatePersistentSubscriptionToStream(stream, "group", { ...settings, maxRetryCount: 7 });
    const [listed] = await client.listPersistentSubscriptionsToStream(stream);
    assert.equal(listed.settings.maxRetryCount, 7);
    assert.ok((await client.listAllPersistentSubscriptions()).some(({ eventSource }) => eventSource === stream));
    await client.appendToStream(stream, numbers(0, 4));
    const subscription = client.subscribeToPersistentSubscriptionToStream(stream, "group");
    const seen = [];
    const dropped = refused("persistent-subscription-dropped", async () => {
      for await (const one of subscription) {
        seen.push(one.event.data.n);
        await subscription.ack(one);
        if (seen.length === 2) await client.deletePersistentSubscriptionToStream(stream, "group");
      }
    });
    await dropped;
    assert.deepEqual(seen, [2, 3]);
    await refused("persistent-subscription-does-not-exist", () =>
      client.deletePersistentSubscriptionToStream(stream, "group"),
    );
    await refused("persistent-subscription-does-not-exist", () =>
      client.getPersistentSubscriptionToStreamInfo(stream, "group"),
    );
  },
  "persistent subscription to all, shared": async () => {
    const type = fresh("Shared");
    const group = fresh("group");
    const settings = api.persistentSubscriptionToAllSettingsFromDefaults({ startFrom: api.START });
    await client.createPersistentSubscriptionToAll(group, settings, {
      filter: api.eventTypeFilter({ prefixes: [type] }),
    });
    const both = [0, 1].map(() => client.subscribeToPersistentSubscriptionToAll(group));
    const seen = [];
    const done = Promise.all(
      both.map(async (subscription) => {
        for await (const one of subscription) {
          seen.push(one.event.data.n);
          await subscription.ack(one);
          if (seen.length === 20) for (const other of both) void other.unsubscribe();
          if (seen.length >= 20) return;
        }
      }),
    );
    await client.appendToStream(
      fresh(),
      Array.from({ length: 20 }, (_, n) => jsonEvent({ type, data: { n } })),
    );
    await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 1000))]);
    assert.deepEqual(
      [...seen].sort((a, b) => a - b),
      Array.from({ length: 20 }, (_, n) => n),
    );
    const info = await client.getPersistentSubscriptionToAllInfo(group);
    assert.equal(info.eventSource, "$all");
    await client.deletePersistentSubscriptionToAll(group);
  },
  "projection: create, state, result, statistics": async () => {
    const category = `acc${randomUUID().slice(0, 8)}`;
    const name = fresh("projection");
    const add = (stream, n) => client.appendToStream(`${category}-${stream}`, numbers(n, 1));
    for (const n of [1, 2, 3]) await add("a", n);
    await client.createProjection(
      name,
      `fromCategory("${category}").when({
        $init: () => ({ sum: 0, seen: [] }),
        Counted: (s, e) => { s.sum += e.data.n; s.seen.push(e.sequenceNumber + "@" + e.streamId); },
      }).transformBy((s) => ({ total: s.sum }))`,
    );
    const state = await until(
      () => client.getProjectionState(name),
      ({ sum }) => sum === 6,
    );
    assert.deepEqual(
      state.seen,
      [0, 1, 2].map((r) => `${r}@${category}-a`),
    );
    await add("b", 4);
    await until(
      () => client.getProjectionState(name),
      ({ sum }) => sum === 10,
    );
    assert.deepEqual(await client.getProjectionResult(name), { total: 10 });
    const status = await client.getProjectionStatus(name);
    assert.deepEqual([status.name, status.projectionStatus, status.progress], [name, "Running", 100]);
    assert.equal(status.eventsProcessedAfterRestart, 4n);
    const listed = (await client.listProjections()).map((one) => one.name);
    assert.ok(listed.includes(name) && listed.includes("$by_category"), `${listed}`);
    await refusedWith(/exists/, () => client.createProjection(name, "fromAll()"));
    await refusedWith(/does not compile/, () => client.createProjection(fresh(), "fromAll().when({"));
    await refusedWith(/does not compile/, () => client.createProjection(fresh(), "1 + 1"));
    await refusedWith(/not found/, () => client.getProjectionState(fresh()));
  },
  "projection: disable, enable, update, reset, abort, delete": async () => {
    const stream = fresh();
    const name = fresh("projection");
    const query = (by) => `fromStream("${stream}").when({ $init: () => ({ n: 0 }), $any: (s) => { s.n += ${by}; } })`;
    const n = (wanted) =>
      until(
        () => client.getProjectionState(name),
        (state) => state.n === wanted,
      );
    const status = async () => (await client.getProjectionStatus(name)).projectionStatus;
    await client.appendToStream(stream, numbers(0, 3));
    await client.createProjection(name, query(1));
    await n(3);
    await client.disableProjection(name);
    assert.equal(await status(), "Stopped");
    await client.appendToStream(stream, numbers(3, 2));
    assert.equal((await client.getProjectionState(name)).n, 3);
    await client.enableProjection(name);
    await n(5);
    await client.updateProjection(name, query(10));
    await client.appendToStream(stream, numbers(5, 1));
    await n(15);
    await client.resetProjection(name);
    await n(60);
    await client.restartSubsystem?.();
    await n(60);
    await refusedWith(/disable it first/, () => client.deleteProjection(name));
    await client.abortProjection(name);
    assert.equal(await status(), "Aborted");
    await client.deleteProjection(name, { deleteCheckpointStream: true, deleteStateStream: true });
    await refusedWith(/not found/, () => client.getProjectionStatus(name));
    await refused("stream-not-found", () => gather(client.readStream(`$projections-${name}-checkpoint`)));
    await client.enableProjection("$by_category");
  },
  "projection: partitions, emitted events, links, results": async () => {
    const [stream, out, links] = [fresh("in"), fresh("out"), fresh("links")];
    const name = fresh("projection");
    await client.createProjection(
      name,
      `options({ resultStreamName: "${name}-results" });
      fromStream("${stream}").partitionBy((e) => e.data.n % 2 ? "odd" : "even").when({
        $init: () => ({ count: 0 }),
        Counted: (s, e) => {
          s.count += 1;
          emit("${out}", "Doubled", { n: 2 * e.data.n }, { of: e.partition });
          linkTo("${links}", e);
        },
      }).outputState()`,
      { emitEnabled: true, trackEmittedStreams: true },
    );
    await client.appendToStream(stream, numbers(0, 5));
    const partition = (one) => client.getProjectionState(name, { partition: one });
    await until(
      () => partition("even"),
      ({ count }) => count === 3,
    );
    assert.equal((await partition("odd")).count, 2);
    const emitted = (await gather(client.readStream(out))).map(({ event }) => [
      event.type,
      event.data.n,
      event.metadata.of,
    ]);
    assert.deepEqual(
      emitted,
      [0, 1, 2, 3, 4].map((n) => ["Doubled", 2 * n, n % 2 ? "odd" : "even"]),
    );
    const linked = await gather(client.readStream(links, { resolveLinkTos: true }));
    assert.deepEqual(
      linked.map(({ event }) => event.data.n),
      [0, 1, 2, 3, 4],
    );
    const [last] = await gather(client.readStream(`${name}-results-even`, { direction: BACKWARDS, maxCount: 1 }));
    assert.deepEqual([last.event.type, last.event.data], ["Result", { count: 3 }]);
    await client.disableProjection(name);
    await client.deleteProjection(name, { deleteEmittedStreams: true });
    await refused("stream-not-found", () => gather(client.readStream(out)));
  },
  "projection: a handler that fails, one that never ends": async () => {
    const stream = fresh();
    await client.appendToStream(stream, numbers(0, 2));
    const faulted = async (handler, why, options) => {
      const name = fresh("projection");
      await client.createProjection(name, `fromStream("${stream}").when({ $any: ${handler} })`, options);
      const status = await until(
        () => client.getProjectionStatus(name),
        (one) => one.projectionStatus === "Faulted",
      );
      assert.match(status.stateReason, why);
      await client.appendToStream(fresh(), numbers(0, 1));
      await client.deleteProjection(name);
    };
    await Promise.all([
      faulted("(s, e) => { throw new Error('no ' + e.data.n); }", /event 0 of .*no 0/),
      faulted("() => { for (;;); }", /too many steps| ms/),
      faulted("(s) => { s.all = []; for (;;) s.all.push({ a: 1, b: [1, 2, 3] }); }", /memory|steps| ms/),
      faulted("(s, e) => { emit('x', 'T', {}); }", /does not allow/),
      faulted("() => ({ now: new Date() })", /Date/),
      faulted("() => process.exit()", /process/),
      faulted("(s, e) => { emit('late-flights/by-airport', 'T', {}); }", /denied/, { emitEnabled: true }),
    ]);
  },
};

void (async () => {
  for (const [feature, judge] of Object.entries(features)) {
    const timeout = new Promise((_, reject) =>
      setTimeout(() => reject(new Error("nothing came within 10 s")), 10_000).unref(),
    );
    const row = await Promise.race([judge(), timeout]).then(
      (absent) => ({ feature, ok: true, absent }),
      (error) => ({ feature, ok: false, why: error.stack }),
    );
    console.log(JSON.stringify(row));
  }
  await client.dispose();
  process.exit(0);
})();
