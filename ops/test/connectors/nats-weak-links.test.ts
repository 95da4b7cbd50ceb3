/**
 * Graphs between two streams of a real NATS server whose link or storage turns bad without breaking: half-open, a byte a second, slow,
 * credentials taken away, no room. What was lost and what came twice is counted at the server; what the graph shows meanwhile is its state.
 */
import type { GraphStatus, NodeStatus } from "@millrace/engine";
import { connect, type JetStreamManager, type NatsConnection } from "nats";
import { describe, expect, test, vi } from "vitest";
import { natsServers, startNats, versionOf, withSettings, writeSettings } from "../../services/nats-server.ts";
import type { ServerKind, ServerProcess } from "../../services/server-process.ts";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { isFull, times } from "../faults/form.ts";
import { numbers, QUICK, RunningGraph, WAIT } from "./running-graph.ts";

const LIMIT_MS = 60_000;
/** The short form runs on the newest server. */
const servers = natsServers().slice(isFull ? 0 : -1);
/** What is wrong with a connection is shown until the next one is made: for long enough to be seen. */
const POLICY = { ...QUICK, backoffMs: 50 };
/** One way, in ms. */
const LATENCY_MS = times(100, 500);

/** The settings of a server that lets these users in. */
const users = (...names: readonly string[]): string =>
  `authorization { users: [${names.map((name) => `{ user: ${name}, password: pw }`).join(", ")}] }\n`;

describe.skipIf(servers.length === 0)("a graph over a weak link to NATS", () => {
  for (const kind of servers) {
    describe(kind.binary.includes("v2") ? "of a newer server" : "of Debian's server", () => {
      test(
        "gives up what is half-open, goes on over another connection, and loses nothing at a byte a second or over a slow way",
        async () => {
          await withServer(kind, async (bed) => {
            const wire = await TcpProxy.to(bed.server);
            const graph = await bed.start(wire.address);
            await bed.send(100);
            await bed.has(100);
            const shown: string[] = [];
            for (const worsen of [() => wire.hold(), () => wire.trickle(1000)]) {
              const { connects = 0 } = connectionOf(graph, "in");
              worsen();
              await bed.send(100);
              // It is seen by what is asked of it, and not before.
              await vi.waitFor(() => {
                const { reason } = connectionOf(graph, "in");
                if (reason !== "" && reason !== shown.at(-1)) shown.push(reason);
                expect(connectionOf(graph, "in").connects).toBeGreaterThan(connects);
              }, WAIT);
              await bed.has(bed.sent);
            }
            wire.delay(LATENCY_MS);
            wire.snap();
            await bed.send(100);
            await bed.has(bed.sent);
            bed.tell(
              `${bed.sent} messages over a link that is held, then at 1 byte/s, then ${LATENCY_MS} ms away: ${await bed.outcome()}`,
            );
            expect(shown.join()).toContain("no answer to a probe in");
            await graph.stop();
            await wire.close();
          });
        },
        LIMIT_MS,
      );

      test(
        "waits while its credentials are taken away, says so without the password, and goes on when it has them again",
        async () => {
          await withServer(withSettings(kind, users("admin", "graph")), async (bed) => {
            const graph = await bed.start(bed.server.address, "graph:pw@");
            await bed.send(100);
            await bed.has(100);
            writeSettings(bed.server.directory, users("admin"));
            bed.server.reload();
            await vi.waitFor(() => expect(connectionOf(graph, "in").reason).toMatch(/authorization violation/i), WAIT);
            await bed.send(100);
            await vi.waitFor(() => expect(nodeOf(graph, "in").state).toBe("waiting"), WAIT);
            expect(JSON.stringify(graph.status())).not.toContain("pw@");
            writeSettings(bed.server.directory, users("admin", "graph"));
            bed.server.reload();
            await bed.has(200);
            bed.tell(`200 messages, credentials revoked after 100 and given back: ${await bed.outcome()}`);
            await graph.stop();
          });
        },
        LIMIT_MS,
      );

      test(
        "waits while the server has no room for what it sends, reads no further meanwhile, and goes on when there is room",
        async () => {
          await withServer(withSettings(kind, "jetstream { max_file_store: 1MB }\n"), async (bed) => {
            await bed.jsm.streams.add({ name: "BALLAST", subjects: ["ballast"] });
            await bed.send(1000);
            const fill = async (): Promise<void> => {
              for (;;) await bed.nc.jetstream().publish("ballast", Buffer.alloc(32_000));
            };
            await expect(fill()).rejects.toMatchObject({ api_error: { description: "insufficient resources" } });
            const graph = await bed.start(bed.server.address);
            await vi.waitFor(
              () => expect(nodeOf(graph, "out").reason).toMatch(/SINK-FAILED.*out: insufficient resources/),
              WAIT,
            );
            const read = nodeOf(graph, "in").messagesIn;
            expect(read).toBeLessThanOrEqual(1000);
            const { messages } = (await bed.jsm.streams.info("OUT")).state;
            expect(messages).toBeLessThan(1000);
            await bed.jsm.streams.purge("BALLAST");
            await bed.has(1000);
            bed.tell(`1000 messages, storage full after ${messages}, then room again: ${await bed.outcome()}`);
            await graph.stop();
          });
        },
        LIMIT_MS,
      );
    });
  }
});

const nodeOf = (graph: RunningGraph, name: string): NodeStatus =>
  (graph.status() as GraphStatus).nodes.find(({ node }) => node === name) as NodeStatus;
const connectionOf = (graph: RunningGraph, name: string) =>
  nodeOf(graph, name).connection ?? { reason: "", connects: 0 };

/** A server with two streams, who sends to the one, and what is in the other. */
class TestBed {
  readonly server: ServerProcess;
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  sent = 0;

  constructor(server: ServerProcess, nc: NatsConnection, jsm: JetStreamManager) {
    this.server = server;
    this.nc = nc;
    this.jsm = jsm;
  }

  start(address: string, login = ""): Promise<RunningGraph> {
    const text = `name: weak
nodes:
  in:  { kind: source, from: "nats://${login}${address}/jetstream/IN" }
  out: { kind: sink, input: in, to: "nats://${login}${address}/jetstream/out" }
`;
    return RunningGraph.start(text, undefined, {}, POLICY);
  }

  async send(n: number): Promise<void> {
    for (const each of numbers(this.sent, n)) await this.nc.jetstream().publish("in", JSON.stringify({ n: each }));
    this.sent += n;
  }

  async has(n: number): Promise<void> {
    await vi.waitFor(async () => expect((await this.jsm.streams.info("OUT")).state.messages).toBe(n), WAIT);
  }

  /** Counts, and expects that nothing was lost or is there twice. */
  async outcome(): Promise<string> {
    const { state } = await this.jsm.streams.info("OUT");
    const found = numbers(state.first_seq, state.messages).map((seq) => this.jsm.streams.getMessage("OUT", { seq }));
    const seen = (await Promise.all(found)).map((message) => message.json<{ readonly n: number }>().n);
    const distinct = new Set(seen);
    const [lost, twice] = [this.sent - distinct.size, seen.length - distinct.size];
    expect({ lost, twice }).toEqual({ lost: 0, twice: 0 });
    return `${lost} lost, ${twice} twice`;
  }

  tell(what: string): void {
    console.log(`nats-server ${versionOf(this.server)}: ${what}`);
  }
}

async function withServer(kind: ServerKind, body: (bed: TestBed) => Promise<void>): Promise<void> {
  const server = await startNats(kind);
  const nc = await connect({ servers: server.address, user: "admin", pass: "pw" });
  try {
    const jsm = await nc.jetstreamManager();
    for (const name of ["IN", "OUT"]) await jsm.streams.add({ name, subjects: [name.toLowerCase()] });
    await body(new TestBed(server, nc, jsm));
  } finally {
    await nc.close();
    await server.stop();
  }
}
