/**
 * Graphs between queues of ActiveMQ (over STOMP and AMQP 1.0) and of RabbitMQ (over AMQP 1.0), while links are cut, brokers and processes are
 * killed. What a sink sent passes through a source, too, so that what was sent twice must have been known by its id.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { isFull, times } from "../faults/form.ts";
import { AMQP10_KINDS, type Amqp10Broker } from "./amqp10-brokers.ts";
import { Amqp10Client, type Drained } from "./amqp10-client.ts";
import { type LastQueue, outcome, outcomeOfKilled } from "./queue-outcome.ts";
import { numbers, RunningGraph } from "./running-graph.ts";

/** Only what hangs takes so long. */
const LIMIT_MS = 180_000;
const WAIT = { timeout: 120_000, interval: 20 };
const PREFETCH = 100;
/** Of the process. */
const KILLS = times(1, 3);

for (const kind of AMQP10_KINDS) {
  describe.skipIf(kind.missing)(
    `${kind.name} that fails${kind.missing === undefined ? "" : ` (skipped: ${kind.missing})`}`,
    () => {
      let broker: Amqp10Broker;
      let client: Amqp10Client;

      beforeAll(async () => {
        broker = await kind.start();
        client = new Amqp10Client(broker.port);
      }, LIMIT_MS);
      afterAll(async () => {
        await client?.close();
        await broker?.stop();
      }, LIMIT_MS);

      /** Over STOMP the broker does not take acknowledgements of messages that have an id of AMQP's: a property tells them apart. */
      const publish = (scheme: string, queue: string, values: readonly number[]): Promise<void> =>
        client.publish(
          kind.node(queue),
          values.map(String).map((value) => ({
            body: value,
            ...(scheme === "amqp10" ? { id: `order-${value}` } : { properties: { order: value } }),
          })),
        );
      /** Three queues in a row. `at`: an address, with credentials if need be. */
      const graph = (scheme: string, name: string, at: string): string => {
        const path = (queue: string): string =>
          `${scheme}://${at}/queue/${encodeURIComponent(kind.node(`${name}-${queue}`))}`;
        const [given, own] = scheme === "activemq" ? ["order", "millrace-id"] : ["message", "message"];
        return `name: ${name}
nodes:
  in:    { kind: source, from: "${path("a")}?prefetch=${PREFETCH}&ids=${given}" }
  pass:  { kind: sink, input: in, to: "${path("b")}" }
  again: { kind: source, from: "${path("b")}?prefetch=${PREFETCH}&ids=${own}" }
  out:   { kind: sink, input: again, to: "${path("c")}" }
`;
      };
      const makeQueues = async (name: string): Promise<void> => {
        for (const queue of ["a", "b", "c"]) await broker.makeQueue(`${name}-${queue}`);
        await broker.sync();
      };
      const last = (name: string): LastQueue => {
        const idOf = ({ id, properties }: Drained): string => String(properties["millrace-id"] ?? id);
        return { client, queue: kind.node(`${name}-c`), idOf };
      };

      for (const { scheme, killsProcess, server } of kind.schemes) {
        test.runIf(isFull || killsProcess)(
          `a graph over ${scheme}: loses nothing while its link is cut, while it is down and when the broker was killed under load`,
          async () => {
            const name = `${scheme}-broker`;
            await makeQueues(name);
            const proxy = await TcpProxy.to({ port: server(broker) });
            const text = graph(scheme, name, proxy.address);
            let running = await RunningGraph.start(text);
            try {
              let sent = 0;
              const send = async (n: number): Promise<void> => {
                await publish(scheme, `${name}-a`, numbers(sent, n));
                sent += n;
              };
              const isOff = (): Promise<void> =>
                vi.waitFor(() => expect(running.connection("in")).not.toBe("up"), WAIT);
              for (let cut = 0; cut < 3; cut++) {
                await send(200);
                const sending = send(200);
                proxy.cut();
                await sending;
                await isOff();
                proxy.mend();
              }
              const { log } = running;
              await running.stop();
              await send(200);
              running = await RunningGraph.start(text, log);
              await vi.waitFor(() => expect(running.connection("in")).toBe("up"), WAIT);
              // What it accepted it must still have: the graph is in the middle of it.
              await send(1500);
              const passed = running.status().nodes.find(({ node }) => node === "out")?.messagesIn ?? 0;
              await broker.server.kill();
              await isOff();
              await broker.server.start();
              await send(200);
              const counted = await outcome(last(name), [], sent);
              console.log(
                `${kind.name}, ${scheme}: ${sent} messages over 2 hops, 3 cuts, 1 restart, 1 kill -9 with ${sent - 200 - passed} on their way: ${counted}`,
              );
              expect(passed).toBeLessThan(sent - 200);
            } finally {
              await running.stop();
              await proxy.close();
            }
          },
          LIMIT_MS,
        );

        test.runIf(killsProcess)(
          `a run over ${scheme}: in a process that is killed again and again loses nothing, and takes nothing twice by its ids`,
          async () => {
            const name = `${scheme}-process`;
            const total = 2000;
            await makeQueues(name);
            await publish(scheme, `${name}-a`, numbers(0, total));
            const text = graph(scheme, name, `127.0.0.1:${server(broker)}`);
            const counted = await outcomeOfKilled(last(name), text, total, KILLS);
            console.log(
              `${kind.name}, ${scheme}: ${total} messages over 2 hops, ${KILLS} kill -9 of millrace: ${counted}`,
            );
          },
          LIMIT_MS,
        );
      }
    },
  );
}
