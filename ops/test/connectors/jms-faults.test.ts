/**
 * Graphs between queues of ActiveMQ by JMS clients, while links are cut and held, and the broker, the processes of the clients and Millrace
 * itself are killed. What a sink sent passes through a source, too, so that what was sent twice must have been known by its id.
 */
import type { JmsDefinition } from "@millrace/engine";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type ActivemqServer, startActivemq } from "../../services/activemq-server.ts";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { isFull, times } from "../faults/form.ts";
import { Amqp10Client } from "./amqp10-client.ts";
import { JAKARTA, JAVAX, JMS_POLICY, jmsMissing, jmsYaml, ownBridges } from "./jms-clients.ts";
import { type LastQueue, outcome, outcomeOfKilled } from "./queue-outcome.ts";
import { numbers, RunningGraph } from "./running-graph.ts";

/** Only what hangs takes so long. */
const LIMIT_MS = 180_000;
const WAIT = { timeout: 120_000, interval: 20 };
const PREFETCH = 100;
const QUEUES = ["a", "b", "c"] as const;
const KILLS = times(1, 3);
const FAULTS = times(1, 3);
/** The short form kills; links are cut and held in the full one, and cut in the suites of `jms.test.ts`. */
const WAYS: readonly { name: string; definition: JmsDefinition; links: boolean; kills: boolean }[] = [
  { name: `${JAKARTA.name}, each by itself`, definition: JAKARTA.definition, links: isFull, kills: true },
  {
    name: `${JAVAX.name}, by transactions`,
    definition: { ...JAVAX.definition, acknowledge: "session" },
    links: isFull,
    kills: isFull,
  },
];

describe.skipIf(jmsMissing)(
  `JMS that fails${jmsMissing === undefined ? "" : ` (skipped: ${jmsMissing})`}`,
  { timeout: LIMIT_MS },
  () => {
    let broker: ActivemqServer;
    let client: Amqp10Client;

    beforeAll(async () => {
      broker = await startActivemq({ openwireOptions: "", amqpOptions: "transport.transformer=jms" });
      client = new Amqp10Client(broker.amqp.port);
    }, LIMIT_MS);
    afterAll(async () => {
      await client?.close();
      await broker?.stomp.stop();
    }, LIMIT_MS);

    /** The sender's own id tells apart what was sent; what the test's end sends twice has one, too. */
    const publish = (queue: string, values: readonly number[]): Promise<void> =>
      client.publish(
        queue,
        values.map(String).map((value) => ({ body: value, properties: { order_id: value } })),
      );
    const graph = (name: string, at: string, definition: JmsDefinition): string => {
      const path = (queue: (typeof QUEUES)[number]): string => `jms://${at}/queue/${name}-${queue}`;
      const jms = `jms: ${jmsYaml(definition)}`;
      return `name: ${name}
nodes:
  in:    { kind: source, from: "${path("a")}?prefetch=${PREFETCH}&ids=order_id", ${jms} }
  pass:  { kind: sink, input: in, to: "${path("b")}", ${jms} }
  again: { kind: source, from: "${path("b")}?prefetch=${PREFETCH}&ids=millrace_id", ${jms} }
  out:   { kind: sink, input: again, to: "${path("c")}", ${jms} }
`;
    };
    const last = (name: string): LastQueue => {
      return { client, queue: `${name}-c`, idOf: ({ properties }) => String(properties.millrace_id) };
    };

    for (const [i, { name: way, definition, links, kills }] of WAYS.entries()) {
      test.runIf(links)(
        `a graph by ${way}: loses nothing while its link is cut or held, and when clients and the broker were killed under load`,
        async () => {
          const name = `jms-links-${i}`;
          const proxy = await TcpProxy.to(broker.openwire);
          const text = graph(name, proxy.address, definition);
          const running = await RunningGraph.start(text, undefined, {}, JMS_POLICY);
          const isUp = (is: boolean): Promise<void> =>
            vi.waitFor(() => expect(running.connection("in") === "up").toBe(is), WAIT);
          let sent = 0;
          const sendWhile = async (fault: () => unknown, mend?: () => unknown): Promise<void> => {
            const from = sent;
            sent += 300;
            await publish(`${name}-a`, numbers(from, 150));
            const sending = publish(`${name}-a`, numbers(from + 150, 150));
            await fault();
            await isUp(false);
            await mend?.();
            await sending;
            await isUp(true);
          };
          try {
            await isUp(true);
            for (let round = 0; round < FAULTS; round++) {
              await sendWhile(
                () => proxy.cut(),
                () => proxy.mend(),
              );
              await sendWhile(() => proxy.hold());
              await sendWhile(() => expect(killBridges()).toBeGreaterThan(0));
            }
            await sendWhile(
              () => broker.stomp.kill(),
              () => broker.stomp.start(),
            );
            const counted = await outcome(last(name), [], sent);
            console.log(
              `${way}: ${sent} messages over 2 hops, ${FAULTS} cut, ${FAULTS} held, ${FAULTS} kill -9 of all clients, 1 of the broker: ${counted}`,
            );
          } finally {
            await running.stop();
            await proxy.close();
          }
        },
      );

      test.runIf(kills)(
        `a run by ${way}: in a process that is killed again and again loses nothing, and takes nothing twice by its ids`,
        async () => {
          const name = `jms-process-${i}`;
          const total = 2000;
          await publish(`${name}-a`, numbers(0, total));
          const text = graph(name, broker.openwire.address, definition);
          const counted = await outcomeOfKilled(last(name), text, total, KILLS);
          console.log(`${way}: ${total} messages over 2 hops, ${KILLS} kill -9 of millrace: ${counted}`);
        },
      );
    }
  },
);

/** Kills the processes of clients that this process has started, and says how many. */
function killBridges(): number {
  const bridges = ownBridges();
  for (const pid of bridges) process.kill(pid, "SIGKILL");
  return bridges.length;
}
