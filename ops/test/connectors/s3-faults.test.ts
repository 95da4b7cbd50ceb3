/** Connectors to S3 while the service is killed, and while requests are refused, cut and answered by halves. */
import type { Json } from "@millrace/engine";
import { SeededRandom } from "@millrace/engine/testing";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type GateFault, HttpGate } from "../../services/http-gate.ts";
import { type S3Server, s3Missing, startS3 } from "../../services/s3-server.ts";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { times } from "../faults/form.ts";
import { eventually, GraphFolder } from "../faults/graph-folder.ts";
import { lastJson } from "../millrace.ts";
import { numbers, RunningGraph } from "./running-graph.ts";
import { S3Bucket, s3Address } from "./s3-bucket.ts";

const SKIPPED = s3Missing === undefined ? "" : ` (skipped: ${s3Missing})`;
const LIMIT_MS = 240_000;
/** A request that gets no answer is given up after 20 s, and waits double with every failure in a row. */
const WAIT = { timeout: 100_000, interval: 10 };
const SLOW_DOWN: GateFault = { status: 503, body: "<Error><Code>SlowDown</Code><Message>less</Message></Error>" };
const DENIED: GateFault = { status: 403, body: "<Error><Code>AccessDenied</Code><Message>no</Message></Error>" };
const HTML: GateFault = { status: 502, body: "<html>bad gateway" };
const FAULTS: readonly GateFault[] = [
  SLOW_DOWN,
  DENIED,
  HTML,
  "cut",
  "cut-request",
  "cut-answer",
  "cut-body",
  "shorten",
];

describe.skipIf(s3Missing)(`S3 that fails${SKIPPED}`, () => {
  let service: S3Server;
  let bucket: S3Bucket;

  beforeAll(async () => {
    service = await startS3();
    bucket = await S3Bucket.make(service, "faults");
  }, 30_000);
  afterAll(() => service?.server.stop());

  const lines = (from: number, n: number, pad = 0): string =>
    numbers(from, n)
      .map((id) => `${JSON.stringify({ id, ...(pad > 0 ? { pad: "x".repeat(pad) } : {}) })}\n`)
      .join("");
  const idsOf = (prefix: string): readonly number[] =>
    bucket.rows(prefix).map((row: Json) => (row as { id: number }).id);
  const tally = (ids: readonly number[], total: number): string =>
    `${total - new Set(ids).size} lost, ${ids.length - new Set(ids).size} twice`;

  test(
    "between two prefixes nothing is lost and nothing is there twice while the service is killed and requests fail in every way",
    async () => {
      const gate = await HttpGate.before(service.server);
      const graph = await RunningGraph.start(`name: copy
nodes:
  in: { kind: source, from: "s3:${s3Address("faults", "in/", gate.url, "&poll=10ms")}", batch: 100 }
  out: { kind: sink, input: in, to: "s3:${s3Address("faults", "out", gate.url, "&flush=1ms")}" }
`);
      const random = new SeededRandom("s3 faults");
      const [rounds, each] = [times(12, 240), 400];
      const happened = new Map<string, number>();
      let [kills, total, injected] = [0, 0, 0];
      gate.fault = () => {
        // Once there was one of each they are rare, since waits double with every failure in a row.
        if (!random.chance(injected < FAULTS.length ? 0.2 : 0.05)) return undefined;
        // Each in turn, so that none is left out.
        const fault = FAULTS[injected++ % FAULTS.length] as GateFault;
        const name = typeof fault === "string" ? fault : String(fault.status);
        happened.set(name, (happened.get(name) ?? 0) + 1);
        return fault;
      };
      try {
        for (let round = 0; round < rounds; round++) {
          await bucket.put(`in/${String(round).padStart(6, "0")}.ndjson`, lines(total, each));
          total += each;
          await vi.waitFor(() => expect(idsOf("out/").length).toBeGreaterThan(total - each * 0.8), WAIT);
          if (round % 6 !== 5) continue;
          await service.server.kill();
          kills++;
          await service.server.start();
        }
        await vi.waitFor(() => expect(new Set(idsOf("out/")).size).toBe(total), WAIT);
        const ids = idsOf("out/");
        const faults = [...happened].map(([name, n]) => `${n} ${name}`).join(", ");
        console.log(`S3: ${total} rows, ${kills} kills -9 of the service, ${faults}: ${tally(ids, total)}`);
        expect(ids).toEqual(numbers(0, total));
        expect(happened.size).toBe(FAULTS.length);
        expect(graph.status().deadLettered).toBe(0);
      } finally {
        await graph.stop();
        await gate.close();
      }
    },
    LIMIT_MS,
  );

  test(
    "a link that falls silent in the middle of objects is found out, and what was asked for is asked again",
    async () => {
      const proxy = await TcpProxy.to(service.server);
      const at = `http://${proxy.address}`;
      await bucket.put("silent/a.ndjson", lines(0, 500, 20_000));
      const graph = await RunningGraph.start(`name: silent
nodes:
  in: { kind: source, from: "s3:${s3Address("faults", "silent/", at, "&poll=10ms")}", batch: 50 }
  out: { kind: sink, input: in, to: "s3:${s3Address("faults", "heard", at, "&flush=1ms")}" }
`);
      const connects = (): number => graph.status().nodes.find(({ node }) => node === "in")?.connection?.connects ?? 0;
      try {
        await vi.waitFor(() => expect(idsOf("heard/").length).toBeGreaterThan(50), WAIT);
        proxy.hold();
        await vi.waitFor(() => expect(idsOf("heard/").length).toBe(500), WAIT);
        await bucket.put("silent/b.ndjson", lines(500, 10));
        proxy.cut();
        await vi.waitFor(() => expect(graph.connection("in")).not.toBe("up"), WAIT);
        proxy.mend();
        await vi.waitFor(() => expect(idsOf("heard/").length).toBe(510), WAIT);
        expect(idsOf("heard/")).toEqual(numbers(0, 510));
        expect(connects()).toBeGreaterThan(1);
      } finally {
        await graph.stop();
        await proxy.close();
      }
    },
    LIMIT_MS,
  );

  test(
    "a run that is killed inside and between objects gives every row once, in order",
    async () => {
      const [objects, each, kills] = [4, 1000, times(2, 40)];
      for (let n = 0; n < objects; n++)
        await bucket.put(`many/${String(n).padStart(3, "0")}.ndjson`, lines(n * each, each, 300));
      const at = `http://${service.server.address}`;
      const folder = new GraphFolder({
        "graph.yaml": `name: killed
nodes:
  in: { kind: source, from: "s3:${s3Address("faults", "many/", at, "&until=now")}", batch: 50 }
  out: { kind: sink, input: in, to: "s3:${s3Address("faults", "copied", at, "&flush=1ms&size=65536")}" }
`,
      });
      const total = objects * each;
      for (let kill = 1; kill <= kills; kill++) {
        const running = folder.begin();
        const enough = (total * kill) / (kills + 2);
        await eventually(async () => expect(idsOf("copied/").length).toBeGreaterThan(enough));
        running.child.kill("SIGKILL");
        await running.finished;
      }
      const { code, stdout, stderr } = await folder.run();
      expect([code, stderr]).toEqual([0, ""]);
      expect(lastJson(stdout)).toMatchObject({ graph: "killed", deadLettered: 0, dropped: 0 });
      const ids = idsOf("copied/");
      console.log(`S3: ${total} rows in ${objects} objects, ${kills} kills -9 of millrace: ${tally(ids, total)}`);
      expect(ids).toEqual(numbers(0, total));
      folder.remove();
    },
    LIMIT_MS,
  );
});
