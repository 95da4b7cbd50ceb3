/**
 * The projection language of EventStoreDB, as it stands in the sandbox before a script: selectors, `when`, partitions, transformations,
 * `emit` and links (docs.kurrent.io/server/v25.1/features/projections/custom). It keeps the states of partitions, handles events in
 * batches and says what changed. Clock and randomness are taken away: the same events give the same states.
 */
export const PRELUDE = `"use strict";
(() => {
  delete globalThis.Date;
  delete globalThis.WeakRef;
  delete globalThis.FinalizationRegistry;
  delete globalThis.performance;
  delete Math.random;
  const source = { all: false, streams: [], categories: [], byStream: false, byCustom: false, outputs: false };
  const options = {};
  const steps = [];
  let handlers = null, partitionOf = null, biState = false;
  // Of these a script says something else than what it does with events of that type.
  const meant = ["$init", "$initShared", "$any", "$created", "$deleted"];
  const names = (list) => (Array.isArray(list[0]) ? list[0] : [...list]);
  const text = (value, what) => {
    if (typeof value !== "string" || value === "") throw new Error(what + " must be a text");
    return value;
  };
  const chain = () => ({
    when(wanted) {
      if (handlers !== null) throw new Error("when() is given twice");
      if (typeof wanted !== "object" || wanted === null) throw new Error("when() takes an object of handlers");
      for (const name of Object.keys(wanted))
        if (typeof wanted[name] !== "function") throw new Error("the handler " + name + " is no function");
      handlers = wanted;
      biState = typeof wanted.$initShared === "function";
      return results();
    },
    foreachStream() { source.byStream = true; return chain(); },
    partitionBy(of) { source.byCustom = true; partitionOf = of; return chain(); },
    outputState() { source.outputs = true; return results(); },
  });
  const results = () => ({
    transformBy(by) { steps.push({ transform: by }); source.outputs = true; return results(); },
    filterBy(by) { steps.push({ filter: by }); source.outputs = true; return results(); },
    outputState() { source.outputs = true; return results(); },
    outputTo(stream, pattern) {
      options.resultStreamName = text(stream, "the stream of outputTo()");
      if (pattern !== undefined) options.partitionResultStreamNamePattern = text(pattern, "the pattern of outputTo()");
      source.outputs = true;
      return results();
    },
  });
  const from = (fill) => {
    if (source.all || source.streams.length > 0 || source.categories.length > 0)
      throw new Error("a projection has one source");
    fill();
    return chain();
  };
  let effects = [];
  const effect = (one) => { effects.push(one); };
  Object.assign(globalThis, {
    fromAll: () => from(() => { source.all = true; }),
    fromStream: (name) => from(() => { source.streams = [text(name, "the stream")]; }),
    fromStreams: (...list) => from(() => { source.streams = names(list).map((name) => text(name, "a stream")); }),
    fromCategory: (name) => from(() => { source.categories = [text(name, "the category")]; }),
    fromCategories: (...list) =>
      from(() => { source.categories = names(list).map((name) => text(name, "a category")); }),
    options: (given) => { Object.assign(options, given); },
    emit: (stream, type, body, metadata) =>
      effect({ stream: text(stream, "the stream"), type: text(type, "the type"), body: body === undefined ? null : body, metadata }),
    linkTo: (stream, event, metadata) =>
      effect({ stream: text(stream, "the stream"), link: event.sequenceNumber + "@" + event.streamId, metadata }),
    linkStreamTo: (stream, linked, metadata) =>
      effect({ stream: text(stream, "the stream"), reference: text(linked, "the linked stream"), metadata }),
    copyTo: (stream, event, metadata) =>
      effect({ stream: text(stream, "the stream"), type: event.eventType, body: event.body, metadata }),
    log: () => {},
  });
  const states = new Map();
  let shared;
  let changed = new Set();
  const clone = (value) => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)));
  const stateOf = (partition) => {
    if (!states.has(partition)) states.set(partition, handlers.$init ? handlers.$init() : {});
    return states.get(partition);
  };
  const resultOf = (state) => {
    let result = state;
    for (const { filter, transform } of steps) {
      if (filter !== undefined && !filter(result)) return null;
      if (transform !== undefined) result = transform(result);
    }
    return result === undefined ? null : result;
  };
  const partitionFor = (event) => {
    if (source.byCustom) {
      const key = partitionOf(event);
      return key === undefined || key === null || key === "" ? undefined : String(key);
    }
    return source.byStream ? event.streamId : "";
  };
  const handle = (raw) => {
    const event = { ...raw, body: raw.data };
    if (handlers === null) {
      const partition = partitionFor(event);
      if (partition === undefined) return;
      event.partition = partition;
      states.set(partition, event.data);
      changed.add(partition);
      return;
    }
    const isDeletion = raw.isDeletion === true;
    const handler = isDeletion
      ? handlers.$deleted
      : Object.hasOwn(handlers, raw.eventType) && !meant.includes(raw.eventType) ? handlers[raw.eventType] : handlers.$any;
    if (handler === undefined) return;
    const partition = isDeletion ? raw.streamId : partitionFor(event);
    if (partition === undefined || (isDeletion && !source.byStream)) return;
    event.partition = partition;
    if (!states.has(partition) && handlers.$created && source.byStream) {
      const created = handlers.$created(stateOf(partition), event);
      if (created !== undefined) states.set(partition, created);
    }
    if (biState && shared === undefined) shared = handlers.$initShared();
    const before = stateOf(partition);
    const given = biState ? [before, shared] : before;
    const answer = handler(given, event);
    const after = answer === undefined ? given : answer;
    if (biState) {
      states.set(partition, after[0]);
      shared = after[1];
    } else states.set(partition, after);
    changed.add(partition);
  };
  globalThis.__describe = () => {
    const types = handlers === null || handlers.$any
      ? null
      : Object.keys(handlers).filter((name) => !meant.includes(name));
    return JSON.stringify({ ...source, options, types, deletions: handlers !== null && handlers.$deleted !== undefined, emits: true });
  };
  globalThis.__load = (json) => {
    const kept = JSON.parse(json);
    states.clear();
    shared = kept.shared;
    for (const [partition, state] of kept.states) states.set(partition, state);
  };
  globalThis.__begin = () => {
    if (handlers !== null && !source.byStream && !source.byCustom) stateOf("");
  };
  globalThis.__state = (json) => {
    const partition = JSON.parse(json);
    if (!states.has(partition)) return "{}";
    return JSON.stringify({ state: states.get(partition), result: resultOf(clone(states.get(partition))) });
  };
  globalThis.__all = () => JSON.stringify({ states: [...states], shared });
  // Without memory not even an error can be made: the interpreter throws null.
  const reasonOf = (thrown) =>
    thrown === null ? "it ran out of memory, or threw null" : String((thrown && thrown.message) || thrown);
  globalThis.__batch = (json) => {
    effects = [];
    changed = new Set();
    let handled = 0, failure = null;
    for (const event of JSON.parse(json)) {
      const before = effects.length;
      try {
        handle(event);
        handled += 1;
      } catch (thrown) {
        effects.length = before;
        failure = reasonOf(thrown);
        break;
      }
    }
    const outcome = [];
    if (failure === null) {
      try {
        for (const partition of changed)
          outcome.push([partition, states.get(partition), source.outputs ? resultOf(clone(states.get(partition))) : null]);
      } catch (thrown) {
        failure = reasonOf(thrown);
      }
    }
    return JSON.stringify({ handled, failure, effects, changed: outcome, shared, partitions: states.size });
  };
})();
`;
