/** Hosts whose log is in EventStoreDB, as processes of their own, against our own endpoint as the server. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gather } from "@millrace/engine/testing";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { opensslMissing, selfSigned } from "../../services/certificate.ts";
import { openStopped } from "../../src/cli/stopped-server.ts";
import { GraphFolder } from "../faults/graph-folder.ts";
import { type Finished, lastJson, type Running, start } from "../millrace.ts";
import { ClusterNode } from "./cluster-node.ts";
import { type ServedLog, serveLog } from "./served-log.ts";

const GRAPH = `name: orders
nodes:
  orders: { kind: source, from: "file:./orders.ndjson", time: at, watermark: 1s }
  large:  { kind: filter, input: orders, where: "event.amount > 10" }
  sums:   { kind: window, input: large, tumbling: 10s, by: { k: event.k }, compute: { n: count(), sum: sum(event.amount) } }
  table:  { kind: sink, input: sums, to: "projection:sums", key: [k] }
  file:   { kind: sink, input: sums, to: "file:sums.csv" }
`;
const ROWS = 4000;
/** The third line is no JSON. */
const ORDERS = Array.from({ length: ROWS }, (_, i) =>
  i === 2 ? '{"id":2,' : JSON.stringify({ id: i, at: 1_700_000_000_000 + i * 50, amount: i % 97, k: "abcdefg"[i % 7] }),
).join("\n");
const FILES = { "graph.yaml": GRAPH, "orders.ndjson": ORDERS };

const opened: { close(): Promise<void> }[] = [];
let alone: GraphFolder;
beforeAll(async () => {
  alone = new GraphFolder(FILES);
  expect(await alone.run()).toMatchObject({ code: 0 });
});
afterAll(() => alone.remove());
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const one of opened.splice(0).reverse()) await one.close();
});

function keep<T extends { close(): Promise<void> }>(one: T): T {
  opened.push(one);
  return one;
}

function folder(files: Readonly<Record<string, string>> = FILES): GraphFolder {
  const made = new GraphFolder(files);
  keep({ close: async () => made.remove() });
  return made;
}

/** A host that never hears from its server again would wait for it for ever: it ends with the test, whatever became of that. */
function host(running: Running): Running {
  keep({ close: async () => void running.child.kill("SIGKILL") });
  return running;
}

const clear = (address: string): NodeJS.ProcessEnv => ({ MILLRACE_LOG: `esdb://${address}?tls=false` });

/** The result is that of a log in the data directory, and no step is there twice or missing. */
async function expectSame(lines: readonly string[], { log }: ServedLog): Promise<void> {
  expect(lines).toEqual(alone.lines("sums.csv"));
  const events = await gather(log.read());
  for (const node of ["orders", "sums", "table", "file"]) {
    const revisions = events.filter(({ stream }) => stream === `orders/${node}`).map(({ revision }) => revision);
    expect(revisions).toEqual(revisions.map((_, i) => i));
  }
  expect(events.filter(({ type }) => type === "GraphFinished")).toHaveLength(1);
}

/** Of a stopped host everything can be asked. */
async function expectPast(far: GraphFolder, { address, log }: ServedLog): Promise<void> {
  vi.stubEnv("MILLRACE_LOG", `esdb://${address}?tls=false`);
  const { app, close } = await openStopped(far.data);
  const ask = async (url: string): Promise<unknown> => (await app.inject(url)).json();
  const own = await gather(log.readStream("orders/sums"));
  const events = own.map(({ position }) => ({ position })).reverse();
  expect(await ask("/api/v1/events?stream=orders%2Fsums")).toMatchObject({ events });
  expect(await ask("/api/v1/dlq")).toMatchObject({ rows: [{ node: "orders" }] });
  const keys = Array.from("abcdefg", (k) => ({ k }));
  expect(await ask("/api/v1/projections/sums?order=asc")).toMatchObject({ rows: keys });
  expect(await ask("/api/v1/graphs/orders/nodes/sums/state")).toMatchObject({ revision: own.length - 1 });
  await close();
}

/** Every node that makes steps has made one, and the run is not over. */
async function isUnderWay({ log }: ServedLog): Promise<boolean> {
  const events = await gather(log.read());
  const stepped = new Set(events.filter(({ type }) => type === "Step").map(({ stream }) => stream));
  return stepped.size === 3 && events.every(({ type }) => type !== "GraphFinished");
}

describe.skipIf(opensslMissing)(
  `over TLS, with credentials${opensslMissing ? ` (skipped: ${opensslMissing})` : ""}`,
  () => {
    const SECRET = "a-password-of-this-test";
    let directory: string;
    let served: ServedLog;
    const address = (secret: string): NodeJS.ProcessEnv => ({
      MILLRACE_LOG: `esdb://zoe:${secret}@localhost:${served.port}?tls=true&tlsCAFile=${join(directory, "cert.pem")}`,
    });

    beforeAll(async () => {
      directory = mkdtempSync(join(tmpdir(), "millrace-remote-"));
      const { cert, key } = selfSigned(directory);
      const tls = { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
      served = await serveLog("memory", { tls, token: SECRET });
    });
    afterAll(async () => {
      await served.close();
      rmSync(directory, { recursive: true });
    });

    it("a graph has the same result; the password is nowhere, right or wrong", async () => {
      const far = folder();
      const denied = await far.run(address("another-password"));
      expect(lastJson(denied.stdout)).toMatchObject({ error: { code: "ESDB-DENIED" } });
      expect(denied.code).toBe(4);
      const ran = await far.run(address(SECRET));
      expect(ran).toMatchObject({ code: 0, stderr: "" });
      expect(lastJson(ran.stdout)).toMatchObject({ messagesIn: ROWS, deadLettered: 1 });
      await expectSame(far.lines("sums.csv"), served);
      for (const { stdout, stderr } of [denied, ran])
        for (const secret of [SECRET, "another-password"]) expect(stdout + stderr).not.toContain(secret);
      for (const file of filesIn(far.data)) expect(readFileSync(file).includes(SECRET)).toBe(false);
    });
  },
);

function filesIn(directory: string): readonly string[] {
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" }).map((name) => join(directory, name));
  return files.filter((file) => statSync(file).isFile());
}

describe("a host whose log is in EventStoreDB", { timeout: 60_000 }, () => {
  it("goes on after kill -9, where an append had happened and was not answered", async () => {
    const served = keep(await serveLog("memory", { positions: "sparse" }));
    const node = keep(await ClusterNode.open(served.address));
    const far = folder();
    const args = ["serve", "graph.yaml", "--port", "0", "--data", far.data];
    const killed = host(start(args, { cwd: far.path, env: clear(node.address) }));
    node.beforeAnswer = async () => {
      if (!(await isUnderWay(served))) return;
      killed.child.kill("SIGKILL");
      await killed.finished;
    };
    expect(await killed.finished).toMatchObject({ signal: "SIGKILL" });
    expect(await far.run(clear(served.address))).toMatchObject({ code: 0 });
    await expectSame(far.lines("sums.csv"), served);
    await expectPast(far, served);
  });

  it("waits while the server is away, says so, and goes on when it is back and another node leads", async () => {
    const served = keep(await serveLog("memory", { positions: "sparse" }));
    const other = keep(await ClusterNode.open(served.address));
    const node = keep(await ClusterNode.open(served.address));
    const far = folder();
    node.beforeAnswer = async () => {
      if (!(await isUnderWay(served))) return;
      node.beforeAnswer = () => node.yieldTo(other);
      await node.cut();
      await running.errorLine(/not ready: log: ESDB-UNREACHABLE/);
      await node.listen();
    };
    const running = host(far.begin(clear(node.address)));
    expect(await running.finished).toMatchObject({ code: 0 });
    expect(node.leads).toBe(false);
    await expectSame(far.lines("sums.csv"), served);
  });

  it("stops when another host takes its graph over, which goes on where it was", async () => {
    const served = keep(await serveLog("memory", { positions: "sparse" }));
    const node = keep(await ClusterNode.open(served.address));
    // Both reach the file: a takeover finds only what the log and the targets have.
    const out = folder({});
    const files = { ...FILES, "graph.yaml": GRAPH.replace("file:sums.csv", `file:${join(out.path, "sums.csv")}`) };
    const [first, second] = [folder(files), folder(files)];
    let taken: Promise<Finished> | undefined;
    node.beforeAnswer = async () => {
      if (taken === undefined && (await isUnderWay(served))) taken = host(second.begin(clear(served.address))).finished;
      await taken;
    };
    const { code, stdout } = await host(first.begin(clear(node.address))).finished;
    expect(await taken).toMatchObject({ code: 0, stderr: "" });
    expect(code).toBe(1);
    expect(lastJson(stdout)).toMatchObject({ error: { code: "NODE-FENCED" } });
    await expectSame(out.lines(join(out.path, "sums.csv")), served);
    const stopped = (await gather(served.log.readStream("graph/orders"))).filter(({ type }) => type === "GraphStopped");
    expect(stopped).toHaveLength(1);
  });
});
