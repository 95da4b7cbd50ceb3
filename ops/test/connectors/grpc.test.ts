/** A graph between the methods of a service in Python, Google's own gRPC, while links are cut, fall silent and crawl, and processes are killed. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type DeadLettered, type NodeStatus, parseGraph, systemEnv } from "@millrace/engine";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { kafkaClients } from "../../bin/python-clients.mjs";
import { opensslMissing, selfSigned } from "../../services/certificate.ts";
import { freePort } from "../../services/free-port.ts";
import { type Arrival, GrpcShop } from "../../services/grpc-shop.ts";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { compileGraph } from "../../src/compile/compile-graph.ts";
import { ProjectionTables } from "../../src/host/projection-tables.ts";
import { times } from "../faults/form.ts";
import { eventually, GraphFolder } from "../faults/graph-folder.ts";
import { start } from "../millrace.ts";
import { deadLettersOf } from "./dead-letters.ts";
import { numbers, RunningGraph, WAIT } from "./running-graph.ts";

/** Only what hangs takes so long. */
const LIMIT_MS = 240_000;
const SCHEMAS = join(import.meta.dirname, "schemas", "grpc");
const PROTO = join(SCHEMAS, "shop.proto");
const INTAKE = join(import.meta.dirname, "../../../engine/schemas/intake.proto");
const CURSOR = "cursor: { field: n, request: after }";
/** By method: how a source reads it, and how a sink writes to it. */
const SOURCES = {
  // Silence is found out by pings alone.
  Follow: `${CURSOR}, keepalive: 1s`,
  List: `${CURSOR}, items: orders, every: 50ms, deadline: 1s`,
} as const;
const SINKS = {
  Put: "inFlight: 8",
  Load: "",
  Sync: "ack: id, refused: refused",
} as const;
const SINK_NAMES = Object.keys(SINKS) as (keyof typeof SINKS)[];

const graphOf = (source: string, sink: string): string => `name: orders
supervision: { intensity: 1, backoffMs: 10 }
nodes:
  in:  { ${source} }
  out: { ${sink} }
`;

const missing = process.env.MILLRACE_SKIP_KAFKA_PYTHON;

const ending: (() => Promise<unknown>)[] = [];

describe.skipIf(missing)(`a service in Python${missing === undefined ? "" : ` (skipped: ${missing})`}`, () => {
  let shop: GrpcShop;
  beforeAll(async () => {
    shop = await GrpcShop.start();
  }, LIMIT_MS);
  afterAll(() => shop?.stop());
  beforeEach(() => shop.reset());
  afterEach(async () => {
    for (const end of ending.splice(0).reverse()) await end();
  });

  const sourceOf = (method: keyof typeof SOURCES, address: string, more = "", options = ""): string =>
    `kind: source, from: "grpc://${address}/shop.v1.Orders/${method}${options}", grpc: { proto: "${PROTO}", ${SOURCES[method]}${more} }`;
  const sinkOf = (method: keyof typeof SINKS, address: string, more = "", options = ""): string =>
    `kind: sink, input: in, to: "grpc://${address}/shop.v1.Orders/${method}${options}", grpc: { proto: "${PROTO}", message: order, id: id, deadline: 10s, request: { shop: eu }, ${SINKS[method]}${more} }`;
  const started = async (text: string, ...more: [log?: RunningGraph["log"], secrets?: Record<string, string>]) => {
    const running = await RunningGraph.start(text, ...more);
    ending.push(() => running.stop());
    return running;
  };
  const node = (running: RunningGraph, name: string): NodeStatus =>
    running.status().nodes.find((one) => one.node === name) as NodeStatus;
  const deadLetters = ({ log }: RunningGraph): Promise<readonly DeadLettered[]> => deadLettersOf(log);
  const takenBy = (sink: keyof typeof SINKS): readonly Arrival[] =>
    shop.taken().filter(({ method }) => method === sink);
  const arrived = (count: number, sinks: readonly (keyof typeof SINKS)[] = SINK_NAMES): Promise<void> =>
    vi.waitFor(() => {
      for (const sink of sinks) expect(new Set(takenBy(sink).map(({ n }) => n)).size, sink).toBe(count);
    }, WAIT);

  /** A sink gives what it sends again the same id; another id means that the source took the order twice. */
  const count = (what: string, offered: number, sink: keyof typeof SINKS): void => {
    const taken = takenBy(sink);
    const ids = new Set(taken.map(({ id }) => id));
    const lost = offered - new Set(taken.map(({ n }) => n)).size;
    console.log(
      `${what}: ${lost} of ${offered} lost, ${ids.size - offered} twice in effect, ${taken.length - ids.size} sent twice under one id`,
    );
    expect(lost).toBe(0);
    expect(ids.size).toBe(offered);
    expect(taken.filter(({ order }) => !order)).toEqual([]);
    const firsts = [...new Set(taken.map(({ n }) => n))];
    expect(firsts.sort((a, b) => a - b)).toEqual(numbers(1, offered));
  };

  test(
    "nothing is lost, or twice in effect, while links are cut, fall silent and crawl, the service is killed, and the graph is started again",
    async () => {
      const proxy = await TcpProxy.to(shop);
      ending.push(() => proxy.close());
      /** Silence is found out by the deadline. */
      const sink = (method: keyof typeof SINKS, input: string): string =>
        sinkOf(method, proxy.address).replace("input: in", `input: ${input}`).replace("deadline: 10s", "deadline: 1s");
      const text = `name: orders
nodes:
  followed: { ${sourceOf("Follow", proxy.address)} }
  listed:   { ${sourceOf("List", proxy.address)} }
  put:      { ${sink("Put", "followed")} }
  sync:     { ${sink("Sync", "followed")} }
  load:     { ${sink("Load", "listed")} }
`;
      let running = await started(text);
      let offered = 0;
      const offer = (): void => {
        shop.offer(100);
        offered += 100;
      };
      const isOff = (): Promise<void> => vi.waitFor(() => expect(running.connection("followed")).not.toBe("up"), WAIT);
      const cuts = times(1, 5);
      for (let cut = 0; cut < cuts; cut++) {
        offer();
        await vi.waitFor(() => expect(shop.taken().length).toBeGreaterThan(3 * (offered - 100)), WAIT);
        proxy.cut();
        offer();
        await isOff();
        proxy.mend();
        await arrived(offered);
      }
      proxy.hold();
      offer();
      await arrived(offered);
      proxy.trickle(1000);
      offer();
      await arrived(offered);
      offer();
      await shop.kill();
      offer();
      await isOff();
      await shop.start();
      await arrived(offered);
      const { log } = running;
      await running.stop();
      offer();
      running = await started(text, log);
      await arrived(offered);
      for (const sink of SINK_NAMES)
        count(`${sink}, ${cuts} cuts, 1 silence, 1 crawl, 1 kill -9 of the service, 1 restart`, offered, sink);
      for (const { method, key, id, shop: name } of shop.taken())
        expect({ key, name }).toEqual({ key: method === "Put" ? id : null, name: "eu" });
      expect(await deadLetters(running)).toEqual([]);
    },
    LIMIT_MS,
  );

  test(
    "a process that is killed again and again loses no order, and has none twice in effect",
    async () => {
      const orders = 600;
      shop.offer(orders);
      const folder = new GraphFolder({
        "graph.yaml": graphOf(sourceOf("Follow", shop.address), sinkOf("Sync", shop.address)),
      });
      ending.push(async () => folder.remove());
      const begin = (): ReturnType<typeof start> =>
        start(["run", "graph.yaml", "--data", folder.data], { cwd: folder.path });
      const kills = times(1, 4);
      for (let kill = 1; kill <= kills; kill++) {
        const running = begin();
        await eventually(async () => expect(shop.taken().length).toBeGreaterThan((orders * kill) / (kills + 2)));
        running.child.kill("SIGKILL");
        await running.finished;
      }
      const last = begin();
      try {
        await eventually(async () => expect(new Set(shop.taken().map(({ n }) => n)).size).toBe(orders));
      } finally {
        last.child.kill("SIGTERM");
        await last.finished;
      }
      count(`Sync, ${kills} kills -9 of the process`, orders, "Sync");
    },
    LIMIT_MS,
  );

  test(
    "an edge from Millrace to Millrace loses nothing, and takes nothing twice, while its link is cut and falls silent, and either end is started again",
    async () => {
      const port = await freePort();
      const proxy = await TcpProxy.to({ port });
      ending.push(() => proxy.close());
      const near = `name: near
nodes:
  in:  { ${sourceOf("Follow", shop.address)} }
  out: { kind: sink, input: in, to: "grpc://${proxy.address}/millrace.v1.Intake/Publish", grpc: { proto: "${INTAKE}", message: data, id: id, ack: id, deadline: 1s } }
`;
      const far = `name: far
nodes:
  in:  { kind: source, from: "grpc+listen://127.0.0.1:${port}" }
  out: { kind: sink, input: in, to: "grpc://${shop.address}/shop.v1.Orders/Sync", grpc: { proto: "${PROTO}", message: order, id: id, ack: id } }
`;
      let sender = await started(near);
      let receiver = await started(far);
      let offered = 0;
      const offer = (): void => {
        shop.offer(100);
        offered += 100;
      };
      const all = (): Promise<void> => arrived(offered, ["Sync"]);
      offer();
      await all();
      proxy.cut();
      offer();
      await vi.waitFor(() => expect(sender.connection("out")).not.toBe("up"), WAIT);
      proxy.mend();
      await all();
      proxy.hold();
      offer();
      await all();
      const received = receiver.log;
      await receiver.stop();
      offer();
      receiver = await started(far, received);
      await all();
      const sent = sender.log;
      await sender.stop();
      offer();
      sender = await started(near, sent);
      await all();
      count("Millrace to Millrace, 1 cut, 1 silence, 2 restarts", offered, "Sync");
    },
    LIMIT_MS,
  );

  test.skipIf(opensslMissing)("who publishes must show a certificate where one is wanted", async () => {
    const directory = mkdtempSync(join(tmpdir(), "millrace-intake-"));
    ending.push(async () => rmSync(directory, { recursive: true, force: true }));
    const { cert, key } = selfSigned(directory);
    const port = await freePort();
    shop.offer(10);
    await started(`name: far
nodes:
  in:  { kind: source, from: "grpc+listen://127.0.0.1:${port}?tls=true&cert=${cert}&key=${key}&ca=${cert}" }
  out: { kind: sink, input: in, to: "grpc://${shop.address}/shop.v1.Orders/Load", grpc: { proto: "${PROTO}", message: order, id: id } }
`);
    const near = (name: string, options: string): Promise<RunningGraph> =>
      started(`name: ${name}
nodes:
  in:  { ${sourceOf("Follow", shop.address)} }
  out: { kind: sink, input: in, to: "grpc://127.0.0.1:${port}/millrace.v1.Intake/Publish?tls=true&server=localhost&ca=${cert}${options}", grpc: { proto: "${INTAKE}", message: data, id: id, ack: id } }
`);
    const refused = await near("refused", "");
    await vi.waitFor(() => expect(refused.connection("out")).toBe("backing-off"), WAIT);
    await near("welcome", `&cert=${cert}&key=${key}`);
    await arrived(10, ["Load"]);
    expect(takenBy("Load")).toHaveLength(10);
    await vi.waitFor(() => expect(node(refused, "out").state).toBe("waiting"), WAIT);
  });

  test("Python publishes to Millrace, and is told what is durable, in order", async () => {
    const port = await freePort();
    await started(`name: far
nodes:
  in:  { kind: source, from: "grpc+listen://127.0.0.1:${port}" }
  out: { kind: sink, input: in, to: "grpc://${shop.address}/shop.v1.Orders/Load", grpc: { proto: "${PROTO}", message: order, id: id } }
`);
    const script = join(import.meta.dirname, "judges", "grpc_publisher.py");
    const { stdout } = await promisify(execFile)(kafkaClients.python, [script, String(port), INTAKE, "50"]);
    expect(stdout.trim().split(" ")).toEqual(numbers(1, 50).map((n) => `order-${n}`));
    await arrived(50, ["Load"]);
    expect(takenBy("Load")).toHaveLength(50);
  });

  test("calls that fail for a while are made again, and refused orders are dead letters with the service's words", async () => {
    shop.mode({ Follow: "UNAVAILABLE", Put: "RESOURCE_EXHAUSTED", pushback: 50 });
    shop.offer(20);
    const running = await started(
      graphOf(
        sourceOf("Follow", shop.address),
        sinkOf("Put", shop.address, `, metadata: { authorization: "Bearer \${env:SHOP}" }`),
      ),
      undefined,
      { SHOP: "s3cret" },
    );
    await vi.waitFor(
      () => expect(node(running, "in").connection?.reason).toContain("UNAVAILABLE: the shop says"),
      WAIT,
    );
    shop.mode({ Put: "RESOURCE_EXHAUSTED", pushback: 50 });
    await vi.waitFor(() => expect(node(running, "out").reason).toContain("RESOURCE_EXHAUSTED"), WAIT);
    expect(node(running, "out").state).toBe("waiting");
    expect(JSON.stringify(running.status())).not.toContain("s3cret");
    expect(node(running, "out").reason).toContain("to Bearer ***");
    shop.mode({ refuse: [3, 7] });
    await arrived(18, ["Put"]);
    await vi.waitFor(async () => expect(await deadLetters(running)).toHaveLength(2), WAIT);
    for (const { error } of await deadLetters(running))
      expect(error).toMatchObject({
        code: "GRPC-MESSAGE-REFUSED",
        message: expect.stringContaining("INVALID_ARGUMENT: no such order"),
      });
    expect(shop.taken().map(({ token }) => token)).toEqual(Array(18).fill("Bearer s3cret"));
    expect(new Set(shop.taken().map(({ id }) => id)).size).toBe(shop.taken().length);
  });

  test("an order that one side or the other finds too large stops the source, or is a dead letter of the sink", async () => {
    shop.mode({ padding: 1536 * 1024 });
    shop.offer(1);
    const large = await started(graphOf(sourceOf("Follow", shop.address), sinkOf("Put", shop.address)));
    await vi.waitFor(
      async () => expect(await deadLetters(large)).toMatchObject([{ error: { code: "GRPC-TOO-LARGE" } }]),
      WAIT,
    );
    const small = await started(
      graphOf(sourceOf("Follow", shop.address, ", bytes: 100000"), sinkOf("Put", shop.address)).replace(
        "orders",
        "small",
      ),
    );
    await vi.waitFor(() => expect(node(small, "in").lastError).toMatchObject({ code: "GRPC-MESSAGE-SIZE" }), WAIT);
    await vi.waitFor(() => expect(node(small, "in").state).toBe("parked"), WAIT);
  });

  test("a source that the service refuses for good is parked with its words", async () => {
    shop.mode({ Follow: "INVALID_ARGUMENT" });
    const running = await started(graphOf(sourceOf("Follow", shop.address), sinkOf("Put", shop.address)));
    await vi.waitFor(() => expect(node(running, "in").state).toBe("parked"), WAIT);
    expect(node(running, "in").lastError).toMatchObject({
      code: "GRPC-REFUSED",
      message: expect.stringContaining("the shop says INVALID_ARGUMENT"),
    });
  });

  test("what a compiler made of the description is as good as its text, and a graph that ends with a stream ends", async () => {
    shop.mode({ ends: true });
    shop.offer(30);
    const set = join(shop.directory, "shop.binpb");
    const text = graphOf(sourceOf("Follow", shop.address, "", "?until=end"), sinkOf("Put", shop.address)).replaceAll(
      PROTO,
      set,
    );
    const running = await started(text);
    await vi.waitFor(() => expect(node(running, "out").state).toBe("finished"), WAIT);
    count("Put, a set of descriptors", 30, "Put");
  });

  test.skipIf(opensslMissing)("both ends show a certificate, and who shows none is refused", async () => {
    const directory = mkdtempSync(join(tmpdir(), "millrace-grpc-"));
    ending.push(async () => rmSync(directory, { recursive: true, force: true }));
    const certificate = selfSigned(directory);
    const secure = await GrpcShop.start(certificate);
    ending.push(() => secure.stop());
    secure.offer(10);
    const trusting = `?tls=true&ca=${certificate.cert}&server=localhost`;
    const shown = `${trusting}&cert=${certificate.cert}&key=${certificate.key}`;
    await started(graphOf(sourceOf("Follow", secure.address, "", shown), sinkOf("Sync", secure.address, "", shown)));
    const refused = await started(
      graphOf(sourceOf("Follow", secure.address, "", trusting), sinkOf("Sync", secure.address, "", trusting)).replace(
        "orders",
        "refused",
      ),
    );
    const strange = await started(
      graphOf(
        sourceOf("Follow", secure.address, "", "?tls=true&server=localhost"),
        sinkOf("Sync", secure.address, "", shown),
      ).replace("orders", "strange"),
    );
    await vi.waitFor(() => expect(secure.taken()).toHaveLength(10), WAIT);
    await vi.waitFor(() => expect(refused.connection("in")).toBe("backing-off"), WAIT);
    await vi.waitFor(() => expect(node(strange, "in").connection?.reason).toMatch(/self.signed/i), WAIT);
    expect(node(refused, "in").messagesOut).toBe(0);
  });
});

describe("a call that the description does not allow", () => {
  test.each([
    ["shop.v1.Orders/Follow", CURSOR.replace("n,", "m,"), "GRPC-SCHEMA shop.v1.Order has no field `m`", "field"],
    [
      "shop.v1.Orders/Follow",
      CURSOR.replace("after", "region"),
      "GRPC-SCHEMA `region` takes string, but `n` is a whole number",
      "request",
    ],
    ["shop.v1.Orders/List", "items: last", "GRPC-SCHEMA `last` is no list", "items"],
    ["shop.v1.Orders/Sync", "", "GRPC-SCHEMA /shop.v1.Orders/Sync takes a stream", "grpc"],
    [
      "shop.v1.Orders/Follows",
      "",
      "GRPC-SCHEMA service shop.v1.Orders has no method Follows; it has Follow, List, Put",
      "from",
    ],
    [
      "shop.v1.Shop/Follow",
      "",
      "GRPC-SCHEMA there is no service shop.v1.Shop in its description; there are shop.v1.Orders",
      "from",
    ],
    [
      "shop.v1.Orders/Follow",
      "request: { regions: eu }",
      "GRPC-SCHEMA the row is no shop.v1.From: $.regions",
      "request",
    ],
  ])("%s with { %s } is refused where it says so: %s", async (method, call, message, key) => {
    const source = `kind: source, from: "grpc://h/${method}", grpc: { proto: "${PROTO}", ${call} }`;
    const text = graphOf(source, "kind: sink, input: in, to: 'discard:'");
    const parsed = parseGraph(text, { file: "graph.yaml" });
    if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
    const options = { dir: ".", out: ".", env: systemEnv(), tables: new ProjectionTables() };
    const refused = await compileGraph(parsed.graph, text, options).then(
      () => undefined,
      (error: { readonly code: string; readonly message: string; readonly place: object }) => error,
    );
    expect(`${refused?.code} ${refused?.message}`).toContain(message);
    expect(refused?.place).toMatchObject({ file: "graph.yaml", line: 4, column: columnOf(text, key), node: "in" });
  });
});

/** Where the value of the key begins in the line of the source; 1-based. */
function columnOf(text: string, key: string): number {
  const line = text.split("\n")[3] ?? "";
  const at = line.indexOf(`${key}: `) + key.length + 2;
  // Of a text in quotes it is that of the text.
  return at + (line[at] === '"' ? 2 : 1);
}
