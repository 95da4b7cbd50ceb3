/** ActiveMQ connectors, over STOMP, against a real broker. The test's own end speaks AMQP 1.0 with it. */
import {
  type ActivemqAddress,
  type ErrorReport,
  type Feed,
  type Json,
  parseActivemqAddress,
  reportOf,
  systemEnv,
} from "@millrace/engine";
import { feedContract, sinkContract } from "@millrace/engine/testing";
import { activemqFeed, activemqSink } from "@millrace/streams/activemq";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ActivemqServer, activemqMissing, startActivemq } from "../../services/activemq-server.ts";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { times } from "../faults/form.ts";
import { Amqp10Client, bytesEnds } from "./amqp10-client.ts";
import { ListeningFeed } from "./listening-feed.ts";
import { expectRegistered, REGISTERED_LIMIT_MS } from "./registered-messages.ts";
import { QUICK, slice } from "./running-graph.ts";

const env = systemEnv();
const START_MS = 120_000;

describe.skipIf(activemqMissing)(
  `ActiveMQ${activemqMissing === undefined ? "" : ` (skipped: ${activemqMissing})`}`,
  () => {
    let broker: ActivemqServer;
    let client: Amqp10Client;
    let wire: TcpProxy;
    let count = 0;
    const next = (name: string): string => `${name}${++count}`;

    beforeAll(async () => {
      broker = await startActivemq({
        stompOptions: "wireFormat.maxDataLength=8000000",
        policies: '<policyEntry queue="&gt;" prioritizedMessages="true"/>',
        // Other protocols see what is in a message, not its bytes.
        amqpOptions: "transport.transformer=jms",
      });
      client = new Amqp10Client(broker.amqp.port);
      wire = await TcpProxy.to(broker.stomp);
    }, START_MS);
    afterAll(async () => {
      await client?.close();
      await wire?.close();
      await broker?.stomp.stop();
    }, START_MS);

    const address = (path: string, side: "source" | "sink" = "source", at = broker.stomp.address): ActivemqAddress => {
      const parsed = parseActivemqAddress(`//${at}${path}`, side);
      if ("fault" in parsed) throw new Error(parsed.fault);
      return parsed;
    };
    const feed = (path: string, id = next("node"), at = broker.stomp.address): Feed =>
      activemqFeed(address(path, "source", at), env, { id, policy: QUICK });
    const sink = (path: string, at = broker.stomp.address) =>
      activemqSink(address(path, "sink", at), env, { id: "g/out", policy: QUICK });
    const breakConnections = (): void => wire.snap();
    const publish = (node: string, bodies: readonly string[]): Promise<void> =>
      client.publish(
        node,
        bodies.map((body) => ({ body })),
      );

    feedContract("a queue of ActiveMQ", async () => {
      const queue = next("q");
      return {
        connect: (most) => feed(`/queue/${queue}?prefetch=${most}`, next("node"), wire.address),
        breakConnections,
        send: (bodies) => publish(queue, bodies),
        close: async () => undefined,
      };
    });

    feedContract("a topic of ActiveMQ with a durable subscription", async () => {
      const topic = next("t");
      const id = next("g/in");
      // A subscription gets what is sent after it was made.
      await ListeningFeed.made(feed(`/topic/${topic}`, id), (body) => publish(`topic://${topic}`, [body]));
      return {
        connect: (most) => feed(`/topic/${topic}?prefetch=${most}`, id, wire.address),
        breakConnections,
        send: (bodies) => publish(`topic://${topic}`, bodies),
        close: async () => undefined,
      };
    });

    sinkContract(
      "a queue of ActiveMQ",
      async () => {
        const queue = next("q");
        const seen: Json[] = [];
        return {
          connect: () => sink(`/queue/${queue}`, wire.address),
          breakConnections,
          async content() {
            seen.push(...(await client.drain(queue)).map(({ data }) => JSON.parse(data) as Json));
            return seen;
          },
          close: async () => undefined,
        };
      },
      { runs: times(5, 15) },
    );

    test("an envelope says destination, id and headers, a selector chooses, and a sink's messages have ids of their own", async () => {
      const queue = next("q");
      const to = sink(`/queue/${queue}`);
      await to.open(undefined);
      await to.deliver([slice(5, [{ text: "é\u0000\n" }])]);
      await client.publish(queue, [
        { body: "1", properties: { region: "us" } },
        { body: "2", properties: { region: "eu" } },
      ]);
      const some = new ListeningFeed(feed(`/queue/${queue}?envelope=true&selector=region = 'eu'`));
      await some.has(1);
      await some.settles();
      await some.end();
      expect(some.taken).toMatchObject([
        { destination: `/queue/${queue}`, id: expect.any(String), headers: { region: "eu" }, data: 2 },
      ]);
      const all = new ListeningFeed(feed(`/queue/${queue}?envelope=true&ids=millrace-id`));
      await all.has(2);
      const [own] = all.taken as { headers: Json }[];
      expect(own).toMatchObject({ headers: { "millrace-id": "g/out/l/5/0" }, data: { text: "é\u0000\n" } });
      expect(all.receipts.map(({ id }) => id)).toEqual(["g/out/l/5/0", expect.any(String)]);
      await all.end();
      await to.close();
    });

    test("rows say the priority of their messages, which come by it and tell it", async () => {
      const queue = next("q");
      const to = sink(`/queue/${queue}?priority=urgency`);
      await to.open(undefined);
      await to.deliver([
        slice(
          0,
          [0, 9, 4].map((urgency) => ({ urgency })),
        ),
      ]);
      const refusal = await to.deliver([slice(3, [{ urgency: 10 }])]).catch(reportOf);
      expect(refusal).toMatchObject({ code: "ACTIVEMQ-PRIORITY", kind: "rejected", details: { field: "urgency" } });
      await to.close();
      const from = new ListeningFeed(feed(`/queue/${queue}?envelope=true`));
      await from.has(3);
      await from.end();
      expect(from.taken).toMatchObject([9, 4, 0].map((urgency) => ({ priority: urgency, data: { urgency } })));
    });

    test(
      "messages are those of a schema registry, and bytes to others",
      async () => {
        const [from, to] = [next("q"), next("q")];
        const at = (queue: string): string => `activemq://${broker.stomp.address}/queue/${queue}`;
        await expectRegistered({
          source: at(from),
          sink: at(to),
          stream: `/queue/${from}`,
          subject: to,
          ...bytesEnds(client, from, to),
        });
      },
      REGISTERED_LIMIT_MS,
    );

    test("a large message goes there and back; one that is too large is told by its code, and the sink goes on", async () => {
      const queue = next("q");
      const to = sink(`/queue/${queue}`);
      await to.open(undefined);
      const large = { text: "x".repeat(5_000_000) };
      await to.deliver([slice(0, [large])]);
      // The broker closes with bytes unread, which may take its answer off the wire; then it is asked again, as a node would.
      const refusal = async (): Promise<ErrorReport | undefined> => {
        const report = await to.deliver([slice(1, [{ text: "x".repeat(9_000_000) }])]).then(() => undefined, reportOf);
        return report?.kind === "transient" ? refusal() : report;
      };
      expect(await refusal()).toMatchObject({ code: "ACTIVEMQ-TOO-LARGE", kind: "rejected" });
      await to.deliver([slice(2, [2])]);
      await to.close();
      const back = new ListeningFeed(feed(`/queue/${queue}`));
      await back.has(2);
      await back.end();
      expect(back.taken).toEqual([large, 2]);
    });
  },
);
