import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Env,
  type EventLog,
  type GraphModel,
  GraphRuntime,
  parseGraph,
  type RecordedEvent,
  SnapshotStore,
  systemEnv,
} from "@millrace/engine";
import {
  DEAD_LETTERS,
  deadLetterOf,
  deadLetterProjection,
  type ProjectionRunner,
  projectionRunner,
} from "@millrace/projections";
import { memoryEventLog, memoryOrderedStore } from "@millrace/streams/memory";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { compileGraph } from "../compile/compile-graph.ts";
import type { CompiledGraph } from "../compile/compiled-graph.ts";
import { deadLettersAtEnd } from "./dead-letters.ts";
import { describeEvent } from "./describe-event.ts";
import { DEAD_LETTER_REDRIVEN, GraphStream, graphStreamOf } from "./graph-stream.ts";
import { Host } from "./host.ts";
import { memoryHost } from "./memory-host.ts";
import { ProjectionTables } from "./projection-tables.ts";
import { whenFinished } from "./when-finished.ts";

const env = systemEnv();
const BY = { principal: "ada", reason: "because" };

let directory: string;
let log: EventLog;
let store: ReturnType<typeof memoryOrderedStore>;
let projections: ProjectionRunner;
let host: Host;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-host-"));
  log = memoryEventLog({ env });
  store = memoryOrderedStore();
  projections = projectionRunner({ log, store, env, projections: [deadLetterProjection()] });
  projections.start();
  host = hostThat({ untilDone: false });
});

function hostThat({ untilDone }: { readonly untilDone: boolean }): Host {
  return new Host({
    log,
    env,
    host: "test",
    snapshots: new SnapshotStore(store, log),
    untilDone,
    report: (thrown) => {
      throw thrown;
    },
    deadLetters: (ids) => deadLettersAtEnd(projections, log, ids),
  });
}

afterEach(async () => {
  vi.restoreAllMocks();
  await host.close("the test is over");
  await projections.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function deploy(text: string, files: Readonly<Record<string, string>> = {}): Promise<void> {
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
  const parsed = parseGraph(text);
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  const model: GraphModel = parsed.graph;
  const options = { dir: directory, out: directory, env, tables: new ProjectionTables() };
  await host.add(await compileGraph(model, text, options), BY);
}

const NUMBERS = `name: numbers
nodes:
  in:   { kind: source, from: "file:./in.ndjson" }
  half: { kind: map, input: in, set: { half: "event.n / 2" } }
  out:  { kind: sink, input: half, to: "discard:" }
`;
const IN = '{"n":4}\n{"m":1}\n{"n":8}\n';

async function eventsOf(graph: string): Promise<readonly RecordedEvent[]> {
  const found: RecordedEvent[] = [];
  for await (const events of log.readStream(graphStreamOf(graph))) found.push(...events);
  return found;
}

const finished = (): Promise<void> => host.running("numbers").runtime.whenFinished;

describe("changes of a graph", () => {
  it("are made one after the other: of two starts at once one is refused", async () => {
    await deploy(NUMBERS, { "in.ndjson": IN });
    await finished();
    await host.stop("numbers", BY);
    const outcomes = await Promise.allSettled([host.start("numbers", BY), host.start("numbers", BY)]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect(outcomes[1]).toMatchObject({ reason: { code: "HOST-STATE" } });
  });

  it("suspend what is pushed as well: it is refused at once, and taken again after", async () => {
    await deploy(`name: pushed
nodes:
  in:  { kind: source, from: "http:/in" }
  out: { kind: sink, input: in, to: "discard:" }
`);
    await host.suspend("pushed", BY);
    await expect(host.push("pushed", "in", [1])).rejects.toMatchObject({ code: "PUSH-CLOSED", kind: "transient" });
    await host.resume("pushed", BY);
    expect(await host.push("pushed", "in", [2])).toBeGreaterThan(0);
  });

  it("are events that say who and why", async () => {
    await deploy(NUMBERS, { "in.ndjson": IN });
    await finished();
    await host.stop("numbers", BY);
    const events = await eventsOf("numbers");
    expect(events.map(({ type, context }) => [type, context.principal])).toEqual([
      ["GraphDeployed", "ada"],
      ["GraphStarted", "ada"],
      ["GraphFinished", "system"],
      ["GraphStopped", "ada"],
    ]);
    expect(describeEvent(events.at(-1) as RecordedEvent)).toEqual({ reason: "because" });
    expect(describeEvent(events[0] as RecordedEvent)).toMatchObject({ revision: 1, definition: NUMBERS });
  });

  it("are refused where they make no sense", async () => {
    await deploy(NUMBERS, { "in.ndjson": IN });
    await finished();
    await expect(host.suspend("numbers", BY)).rejects.toMatchObject({ code: "HOST-STATE" });
    await expect(host.start("numbers", BY)).rejects.toMatchObject({ code: "HOST-STATE" });
    await expect(async () => host.stop("other", BY)).rejects.toMatchObject({ code: "HOST-GRAPH" });
    await expect(deploy(NUMBERS)).rejects.toMatchObject({ code: "HOST-GRAPH" });
    await expect(host.push("numbers", "half", [])).rejects.toMatchObject({ code: "HOST-NODE" });
  });
});

it("the end of a graph is heard of, also when it was stopped and started meanwhile", async () => {
  await deploy(NUMBERS, { "in.ndjson": IN });
  const done = whenFinished(host.running("numbers"));
  await host.stop("numbers", BY);
  await host.start("numbers", BY);
  await done;
  expect(host.status("numbers")?.state).toBe("finished");
});

describe("a dead letter", () => {
  async function letters(): Promise<ReturnType<typeof deadLetterOf>[]> {
    const { rows } = await projections.query(DEAD_LETTERS, { minPosition: log.durableEnd - 1 });
    return rows.map(deadLetterOf);
  }

  it("goes through its node again once, however often it is asked for", async () => {
    await deploy(NUMBERS, { "in.ndjson": IN });
    await finished();
    const [letter] = await letters();
    expect(letter).toMatchObject({ node: "half", input: { m: 1 }, state: "waiting" });
    const id = letter?.id ?? "";
    expect(await Promise.all([host.redrive("numbers", [id, id], BY), host.redrive("numbers", [id], BY)])).toEqual([
      1, 0,
    ]);
    // It has no `n` still, so it fails again: as another dead letter, of a lane of its own.
    await expect.poll(async () => (await letters()).map(({ state }) => state)).toEqual(["redriven", "waiting"]);
    expect((await letters())[1]).toMatchObject({
      node: "half",
      input: { m: 1 },
      lane: expect.stringContaining("redrive"),
    });
    expect(host.status("numbers")).toMatchObject({ messagesIn: 1 });
  });

  it("waits in a graph that is suspended, from which nothing moves meanwhile", async () => {
    await deploy(`name: pushed
nodes:
  in:   { kind: source, from: "http:/in" }
  half: { kind: map, input: in, set: { half: "event.n / 2" } }
  out:  { kind: sink, input: half, to: "discard:" }
`);
    await host.push("pushed", "in", [{ m: 1 }]);
    await expect.poll(async () => (await letters()).length).toBe(1);
    await host.suspend("pushed", BY);
    const starts = vi.spyOn(GraphRuntime.prototype, "start");
    expect(await host.redrive("pushed", [(await letters())[0]?.id ?? ""], BY)).toBe(1);
    expect(starts.mock.calls).toEqual([[{ suspended: true }]]);
    expect(host.status("pushed")).toMatchObject({ state: "suspended", deadLettered: 0 });
    await host.resume("pushed", BY);
    await expect.poll(async () => (await letters()).map(({ state }) => state)).toEqual(["redriven", "waiting"]);
  });

  it("goes through its node again in a run that ends, also when its source read before it was written down", async () => {
    await host.close("another takes its place");
    host = hostThat({ untilDone: true });
    await deploy(NUMBERS, { "in.ndjson": IN });
    await finished();
    const append = GraphStream.prototype.append;
    vi.spyOn(GraphStream.prototype, "append").mockImplementation(async function (this: GraphStream, events, by) {
      if (events.some(({ type }) => type === DEAD_LETTER_REDRIVEN)) await finished();
      return append.call(this, events, by);
    });
    const [letter] = await letters();
    expect(await host.redrive("numbers", [letter?.id ?? ""], BY)).toBe(1);
    await expect.poll(async () => (await letters()).map(({ state }) => state)).toEqual(["redriven", "waiting"]);
  });

  it("whose input was not kept is refused, with the reason: it would send what nobody had sent", async () => {
    const depth = 5000;
    await deploy(NUMBERS, { "in.ndjson": `{"n":4}\n{"m":${"[".repeat(depth)}${"]".repeat(depth)}}\n{"n":8}\n` });
    await finished();
    const [letter] = await letters();
    expect(letter).toMatchObject({ node: "half", input: null, state: "waiting" });
    await expect(host.redrive("numbers", [letter?.id ?? ""], BY)).rejects.toMatchObject({
      code: "HOST-REDRIVE",
      message: expect.stringContaining("was not kept"),
    });
    expect(host.status("numbers")).toMatchObject({ messagesOut: 2, deadLettered: 1 });
  });

  it("that never was a message is refused, with the reason", async () => {
    await deploy(NUMBERS, { "in.ndjson": '{"n":4}\nrubbish\n' });
    await finished();
    const [letter] = await letters();
    expect(letter?.node).toBe("in");
    await expect(host.redrive("numbers", [letter?.id ?? ""], BY)).rejects.toMatchObject({
      code: "HOST-REDRIVE",
      message: expect.stringContaining("source in rejected it"),
    });
    await expect(host.redrive("numbers", ["0".repeat(32)], BY)).rejects.toMatchObject({ code: "HOST-REDRIVE" });
  });
});

describe("an edge", () => {
  it("shows its newest messages, newest first", async () => {
    await deploy(NUMBERS, { "in.ndjson": IN });
    await finished();
    expect(host.recent("numbers", "half -> out").map(({ value }) => value)).toEqual([
      { n: 8, half: 4 },
      { n: 4, half: 2 },
    ]);
    const stop = new AbortController();
    for await (const messages of host.peek("numbers", "in -> half", 4, stop.signal)) {
      expect(messages.map(({ value }) => value)).toEqual([{ n: 8 }]);
      stop.abort();
    }
  });
});

describe("a source that is recorded", () => {
  it("has its input in the log", async () => {
    await deploy(NUMBERS.replace("from:", "record: true, from:"), { "in.ndjson": '{"n":4}\n' });
    await finished();
    const steps: unknown[] = [];
    for await (const events of log.readStream("numbers/in")) {
      for (const event of events) if (event.type === "Step") steps.push(describeEvent(event));
    }
    expect(steps).toContainEqual(
      expect.objectContaining({ emitted: [{ port: "out", firstSeq: 0, count: 1, rows: [{ n: 4 }] }] }),
    );
  });
});

describe("a graph whose node was given up", () => {
  const copy = (to: string): string =>
    `name: copy\nnodes:\n  in: { kind: source, from: "file:./in.ndjson" }\n  out: { kind: sink, input: in, to: "file:${to}" }\n`;
  /** Supervisors wait a hundredth of what they should. */
  const hasty: Env = { ...env, timers: { after: (ms, call) => env.timers.after(ms / 100, call) } };
  const deployOn = async (text: string, run: (host: Host, graph: CompiledGraph) => Promise<void>): Promise<void> => {
    const parsed = parseGraph(text);
    if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
    const options = { dir: directory, out: directory, env: hasty, tables: new ProjectionTables() };
    const own = memoryHost(log, { env: hasty });
    await run(own, await compileGraph(parsed.graph, text, options)).finally(() => own.close("the test is over"));
  };

  it("is changed only when the node can be run to its end, and says which one cannot and why", async () => {
    writeFileSync(join(directory, "in.ndjson"), IN);
    writeFileSync(join(directory, "blocker"), "");
    await deployOn(copy("blocker/out.ndjson"), async (own, graph) => {
      await own.add(graph, BY);
      await expect.poll(() => own.status("copy")?.nodes.find(({ node }) => node === "out")?.state).toBe("parked");
    });
    await deployOn(copy("out.ndjson"), async (own, graph) => {
      await expect(own.add(graph, BY)).rejects.toMatchObject({
        code: "HOST-REVISION",
        message: expect.stringMatching(/^out of the revision .* gave up: SINK-FAILED: cannot write /),
        place: { graph: "copy" },
      });
      rmSync(join(directory, "blocker"));
      await own.add(graph, BY);
      expect(own.status("copy")?.revision).toBe(2);
    });
    expect(readFileSync(join(directory, "blocker", "out.ndjson"), "utf8")).toBe(IN);
  });
});
