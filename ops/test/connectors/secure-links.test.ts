/** Encrypted connections to NATS, of nodes and of edges, and to Redis: what is trusted is talked to, and what is not is told. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NodeStatus } from "@millrace/engine";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Certificate, opensslMissing, selfSigned } from "../../services/certificate.ts";
import { natsServers, startNats, withTls } from "../../services/nats-server.ts";
import { redisMissing, startSecureRedis } from "../../services/redis-server.ts";
import type { ServerProcess } from "../../services/server-process.ts";
import { GraphFolder } from "../faults/graph-folder.ts";
import { millrace } from "../millrace.ts";
import { numbers, RunningGraph, WAIT } from "./running-graph.ts";

const LIMIT_MS = 60_000;
const nats = natsServers().at(-1);

describe.skipIf(opensslMissing)("an encrypted connection", () => {
  let directory: string;
  let certificate: Certificate;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "millrace-tls-"));
    certificate = selfSigned(directory);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  /** Ticks go to the path and come from it. */
  const graph = (scheme: string, { port }: ServerProcess, path: string, options: string): string => `name: secure
nodes:
  tick: { kind: source, from: "metronome:50ms" }
  send: { kind: sink, input: tick, to: "${scheme}://localhost:${port}/${path}${options}" }
  hear: { kind: source, from: "${scheme}://localhost:${port}/${path}${options}" }
  out:  { kind: sink, input: hear, to: "discard:" }
`;
  const node = (running: RunningGraph, name: string): NodeStatus =>
    running.status().nodes.find((one) => one.node === name) as NodeStatus;

  const isProven = async (scheme: string, server: ServerProcess, path: string): Promise<void> => {
    const of = (options: string): Promise<RunningGraph> => RunningGraph.start(graph(scheme, server, path, options));
    const trusting = await of(`?tls=true&ca=${certificate.cert}`);
    await vi.waitFor(() => expect(node(trusting, "out").messagesIn).toBeGreaterThan(2), WAIT);
    await trusting.stop();
    for (const [options, reason] of [
      ["?tls=true", /self.signed certificate/i],
      ["", /./],
    ] as const) {
      const running = await of(options);
      await vi.waitFor(() => expect(node(running, "hear").connection?.reason).toMatch(reason), WAIT);
      expect(node(running, "out").messagesIn).toBe(0);
      await running.stop();
    }
  };

  test.skipIf(redisMissing)(
    "to Redis needs the authority that signed its certificate",
    async () => {
      const server = await startSecureRedis(certificate);
      await isProven("redis", server, "channel/ticks").finally(() => server.stop());
    },
    LIMIT_MS,
  );

  test.skipIf(nats === undefined)(
    "to NATS needs the authority that signed its certificate",
    async () => {
      const server = await startNats(withTls(nats as never, certificate));
      await isProven("nats", server, "core/ticks").finally(() => server.stop());
    },
    LIMIT_MS,
  );

  test.skipIf(nats === undefined)(
    "to NATS carries edges",
    async () => {
      const server = await startNats(withTls(nats as never, certificate));
      const folder = new GraphFolder({
        "graph.yaml": `name: edges
nodes:
  in:  { kind: source, from: "file:./in.ndjson" }
  out: { kind: sink, input: in, to: "file:out.ndjson" }
defaults: { edge: { via: nats } }
`,
        "in.ndjson": numbers(0, 100)
          .map((n) => `{"n":${n}}\n`)
          .join(""),
      });
      try {
        const edges = `nats://localhost:${server.port}/prod?tls=true&ca=${certificate.cert}`;
        const args = ["run", "graph.yaml", "--until-done", "--data", folder.data, "--edges", edges];
        const { code, stderr } = await millrace(args, { cwd: folder.path });
        expect([code, stderr]).toEqual([0, ""]);
        expect(folder.lines("out.ndjson")).toHaveLength(100);
      } finally {
        folder.remove();
        await server.stop();
      }
    },
    LIMIT_MS,
  );
});
