/**
 * A graph whose edges lead over a real NATS server gives what it gives with all edges in the process, whatever happens to the
 * server, the wire and the messages on it.
 */
import { systemEnv, type Transport } from "@millrace/engine";
import { SeededRandom } from "@millrace/engine/testing";
import { natsTransport } from "@millrace/streams/nats";
import { connect } from "nats";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { natsServers, startNats, versionOf, withSettings } from "../../services/nats-server.ts";
import type { ServerProcess } from "../../services/server-process.ts";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { isFull } from "../faults/form.ts";
import { ChaosTransport } from "./chaos-transport.ts";
import { differences, done, EDGE_POLICY, EdgeGraph, statusOf } from "./edge-graph.ts";

const env = systemEnv();
const ROWS = 30_000;
/** The short form runs on the oldest server, which can least. */
const servers = natsServers().slice(0, isFull ? undefined : 1);
const LIMIT_MS = 90_000;
const SEEN = { timeout: 60_000, interval: 5 };

describe.skipIf(servers.length === 0)("a graph with edges over NATS", () => {
  for (const kind of servers) {
    describe(kind.binary.includes("v2") ? "on a newer server" : "on Debian's server", () => {
      let graph: EdgeGraph;
      let server: ServerProcess;

      beforeEach(async () => {
        server = await startNats(kind);
        graph = new EdgeGraph("nats", "test", ROWS);
      });
      afterEach(async () => {
        await graph.close();
        await server.stop();
      });

      const open = (address: string): Transport => {
        const transport = natsTransport({ env, servers: { endpoints: [address], policy: EDGE_POLICY } });
        graph.onClose(() => transport.close());
        return transport;
      };

      test(
        "gives the same as without, and shows the edges' subjects",
        async () => {
          const host = await graph.deploy(open(server.address));
          const finished = done(host);
          const up = { state: "up", endpoint: server.address, reason: "" };
          // While it runs: a busy process may take its own pause for a silence of the server's at any time, at the end, too.
          await vi.waitFor(() => expect(statusOf(host).edges[0]?.connection).toMatchObject(up), SEEN);
          await finished;
          expect(graph.results()).toEqual(await graph.expected());
          const edges = statusOf(host).edges;
          expect(edges.map(({ via }) => via)).toEqual(edges.map(() => "nats"));
          expect(edges[0]?.subject).toBe("millrace.test.edges.in.out.even.r1");
          const nc = await connect({ servers: server.address });
          const jsm = await nc.jetstreamManager();
          // It was sent over the broker, and all but what was on its way at the end was taken.
          const state = await vi.waitFor(async () => {
            const { state: found } = await jsm.streams.info("MILLRACE_EDGES");
            expect(found.messages).toBeLessThan(10);
            return found;
          }, SEEN);
          expect(state.last_seq).toBeGreaterThan(ROWS / 100);
          console.log(
            `nats-server ${versionOf(server)}: ${ROWS} rows over ${edges.length} edges, ${state.last_seq} frames`,
          );
          await nc.close();
        },
        LIMIT_MS,
      );

      test(
        "gives the same though the server is killed, forgets what it had said was there, and the wire is cut under load",
        async () => {
          const wire = await TcpProxy.to(server);
          graph.onClose(() => wire.close());
          const host = await graph.deploy(open(wire.address));
          const finished = done(host);
          let faults = 0;
          const passed = async (share: number): Promise<void> => {
            const read = (): number => statusOf(host).messagesIn;
            await vi.waitFor(() => expect(read()).toBeGreaterThanOrEqual(ROWS * share), SEEN);
            faults++;
          };
          await passed(0.1);
          await server.kill();
          server.remember();
          await server.start();
          await passed(0.3);
          wire.cut();
          await new Promise((resolve) => setTimeout(resolve, 1500));
          wire.mend();
          await passed(0.5);
          const nc = await connect({ servers: server.address });
          await (await nc.jetstreamManager()).streams.delete("MILLRACE_EDGES");
          await nc.close();
          await passed(0.7);
          await server.kill();
          server.forget();
          await server.start();
          await finished;
          const [got, wanted] = [graph.results(), await graph.expected()];
          console.log(
            `nats-server ${versionOf(server)}: ${ROWS} rows, ${faults} faults (kill -9, cut, stream deleted, power cut): ${differences(got, wanted)}`,
          );
          expect(got).toEqual(wanted);
        },
        LIMIT_MS,
      );

      test(
        "says that the server has no room for what an edge carries, and gives the same when there is room",
        async () => {
          const small = await startNats(withSettings(kind, "jetstream { max_file_store: 1MB }\n"));
          graph.onClose(() => small.stop());
          const nc = await connect({ servers: small.address });
          graph.onClose(() => nc.close());
          const jsm = await nc.jetstreamManager();
          await jsm.streams.add({ name: "BALLAST", subjects: ["ballast"] });
          const fill = async (): Promise<void> => {
            for (;;) await nc.jetstream().publish("ballast", Buffer.alloc(32_000));
          };
          await expect(fill()).rejects.toMatchObject({ api_error: { description: "insufficient resources" } });
          const host = await graph.deploy(open(small.address));
          const finished = done(host);
          await vi.waitFor(() => {
            const { connection } = statusOf(host).edges[0] ?? {};
            expect(connection).toMatchObject({ state: "backing-off", reason: expect.stringMatching(/ resources/) });
          }, 20_000);
          await jsm.streams.purge("BALLAST");
          const up = { state: "up", reason: "" };
          await vi.waitFor(() => expect(statusOf(host).edges[0]?.connection).toMatchObject(up), SEEN);
          await finished;
          expect(graph.results()).toEqual(await graph.expected());
        },
        LIMIT_MS,
      );

      test(
        "gives the same though frames are lost, come twice and overtake each other",
        async () => {
          const chaos = new ChaosTransport(open(server.address), new SeededRandom(kind.binary));
          const host = await graph.deploy(chaos);
          await done(host);
          const [got, wanted] = [graph.results(), await graph.expected()];
          const { lost, repeated, overtaken, delivered } = chaos;
          console.log(
            `nats-server ${versionOf(server)}: ${delivered} frames, ${lost} lost, ${repeated} twice, ${overtaken} overtaken: ${differences(got, wanted)}`,
          );
          expect(Math.min(lost, repeated, overtaken)).toBeGreaterThan(5);
          expect(got).toEqual(wanted);
        },
        LIMIT_MS,
      );
    });
  }
});
