/** RabbitMQ connectors while the broker is killed, and while it takes nothing; streams, whole. Its durable classic queues are on disk. */
import { parseRabbitmqAddress, reportOf, systemEnv } from "@millrace/engine";
import { virtualEnv } from "@millrace/engine/testing";
import { rabbitmqSink } from "@millrace/streams/rabbitmq";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type RabbitServer, rabbitmqMissing, startRabbit } from "../../services/rabbitmq-server.ts";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { isFull } from "../faults/form.ts";
import { PatientClient } from "./patient-rabbitmq-client.ts";
import { rabbitmqStreams } from "./rabbitmq-streams.ts";
import { numbers, QUICK, RunningGraph, slice } from "./running-graph.ts";

/** Only what hangs takes so long. */
const LIMIT_MS = 180_000;
const WAIT = { timeout: 120_000, interval: 20 };

describe.skipIf(rabbitmqMissing)(
  `RabbitMQ that fails${rabbitmqMissing === undefined ? "" : ` (skipped: ${rabbitmqMissing})`}`,
  () => {
    let broker: RabbitServer;
    let client: PatientClient;

    beforeAll(async () => {
      broker = await startRabbit();
      client = new PatientClient(broker.server.address);
    }, LIMIT_MS);
    afterAll(async () => {
      await client?.close();
      await broker?.stop();
    }, LIMIT_MS);

    for (const ids of isFull ? [true, false] : [true]) {
      test(
        `a graph ${ids ? "that knows messages by their ids" : "without ids"} loses nothing while its link is cut, while it is down and when the broker was killed under load`,
        async () => {
          const name = ids ? "ids" : "plain";
          const [from, to] = [`${name}-in`, `${name}-out`];
          await client.makeQueue(from);
          await client.makeQueue(to);
          // For about 2 s the broker has a new queue's name in memory only, durable or not: a kill takes the queue away.
          await broker.control("eval", "mnesia:sync_log().");
          const proxy = await TcpProxy.to(broker.server);
          const text = `name: ${name}
nodes:
  in:  { kind: source, from: "rabbitmq://${proxy.address}/queue/${from}?prefetch=50${ids ? "&ids=message" : ""}" }
  out: { kind: sink, input: in, to: "rabbitmq://${proxy.address}/queue/${to}" }
`;
          let running = await RunningGraph.start(text);
          try {
            const rows: number[] = [];
            const marks = new Set<string>();
            let sent = 0;
            const send = async (n: number): Promise<void> => {
              await client.publish(from, numbers(sent, n).map(String));
              sent += n;
            };
            const isOff = (): Promise<void> => vi.waitFor(() => expect(running.connection("in")).not.toBe("up"), WAIT);
            for (let cut = 0; cut < 3; cut++) {
              await send(300);
              const sending = send(300);
              proxy.cut();
              await sending;
              await isOff();
              proxy.mend();
            }
            const { log } = running;
            await running.stop();
            await send(300);
            running = await RunningGraph.start(text, log);
            await vi.waitFor(() => expect(running.connection("in")).toBe("up"), WAIT);
            // What it confirmed it must still have: the graph is in the middle of it.
            await send(2000);
            await broker.server.kill();
            await isOff();
            await broker.server.start();
            await send(300);
            await vi.waitFor(async () => {
              for (const { id, data } of await client.drain(to)) {
                rows.push(Number(data));
                marks.add(id);
              }
              expect(new Set(rows).size).toBe(sent);
            }, WAIT);
            const twice = rows.length - new Set(rows).size;
            console.log(
              `rabbitmq ${broker.server.greeting}, ${ids ? "ids" : "no ids"}: ${sent} messages, 3 cuts, 1 restart, 1 kill -9: ${sent - new Set(rows).size} lost, ${twice} twice, of these ${marks.size - sent} under another id`,
            );
            expect([...new Set(rows)].sort((a, b) => a - b)).toEqual(numbers(0, sent));
            // The sink gives what it sends again the same id; another id means that the source took the message twice.
            if (ids) expect(marks.size).toBe(sent);
            await vi.waitFor(async () => expect(await client.waiting(from)).toBe(0), WAIT);
          } finally {
            await running.stop();
            await proxy.close();
          }
        },
        LIMIT_MS,
      );
    }

    test(
      "a sink waits for a broker that is short of memory, over the same connection, and then goes on",
      async () => {
        await client.makeQueue("short");
        const address = parseRabbitmqAddress(`//${broker.server.address}/queue/short`, "sink");
        if ("fault" in address) throw new Error(address.fault);
        const probes = virtualEnv(1);
        const env = { ...systemEnv(), timers: probes.timers };
        const sink = rabbitmqSink(address, env, { id: "g/short", policy: QUICK });
        await sink.open(undefined);
        await sink.deliver([slice(0, [0])]);
        await broker.control("set_vm_memory_high_watermark", "0.0001");
        let end: unknown = "it waits";
        const delivering = sink.deliver([slice(1, [1])]).then(
          () => {
            end = "it was taken";
          },
          (error) => {
            end = reportOf(error);
          },
        );
        try {
          await vi.waitFor(async () => {
            const states = await broker.control("list_connections", "client_properties", "state");
            expect(states).toMatch(/g\/short.*\bblocked$/m);
          }, WAIT);
          // It is asked whether it is alive, and a question without an answer would end the connection by now.
          await probes.advance(60_000);
          expect([end, sink.connection?.()]).toMatchObject(["it waits", { state: "up", connects: 1 }]);
        } finally {
          await broker.control("set_vm_memory_high_watermark", "0.4");
        }
        await delivering;
        expect([end, sink.connection?.()]).toMatchObject(["it was taken", { state: "up", connects: 1 }]);
        await sink.close();
        expect((await client.drain("short")).map(({ data }) => data)).toEqual(["0", "1"]);
      },
      LIMIT_MS,
    );

    // Behind the tests that kill the broker, with a connection of its own.
    describe("streams", () =>
      rabbitmqStreams(
        () => broker,
        () => client,
      ));
  },
);
