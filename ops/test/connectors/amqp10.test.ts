/** AMQP 1.0 connectors against two real brokers. */

import { type Amqp10Address, type Feed, type Json, parseAmqp10Address, reportOf, systemEnv } from "@millrace/engine";
import { feedContract, sinkContract } from "@millrace/engine/testing";
import { amqp10Feed, amqp10Sink } from "@millrace/streams/amqp10";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { times } from "../faults/form.ts";
import { AMQP10_KINDS, type Amqp10Broker } from "./amqp10-brokers.ts";
import { Amqp10Client, bytesEnds, type Drained } from "./amqp10-client.ts";
import { byHand, EVENTS_LIMIT_MS, expectEvents } from "./broker-events.ts";
import { ListeningFeed } from "./listening-feed.ts";
import { expectRegistered, REGISTERED_LIMIT_MS } from "./registered-messages.ts";
import { QUICK, slice, WAIT } from "./running-graph.ts";

const env = systemEnv();
const ID_CHARS = 100;
const START_MS = 240_000;
const QUIET_MS = 150;

for (const { name, missing, start, node, topic, counts, overruns } of AMQP10_KINDS) {
  describe.skipIf(missing)(`AMQP 1.0 on ${name}${missing === undefined ? "" : ` (skipped: ${missing})`}`, () => {
    let broker: Amqp10Broker;
    let client: Amqp10Client;
    let wire: TcpProxy;
    let count = 0;
    const next = (of: string): string => `${of}${++count}`;

    beforeAll(async () => {
      broker = await start();
      client = new Amqp10Client(broker.port);
      wire = await TcpProxy.to(broker);
    }, START_MS);
    afterAll(async () => {
      await client?.close();
      await wire?.close();
      await broker?.stop();
    }, START_MS);

    const address = (path: string, side: "source" | "sink" = "source", port = broker.port): Amqp10Address => {
      const parsed = parseAmqp10Address(`//127.0.0.1:${port}${path}`, side);
      if ("fault" in parsed) throw new Error(parsed.fault);
      return parsed;
    };
    const feed = (path: string, id = next("node"), port = broker.port): Feed =>
      amqp10Feed(address(path, "source", port), env, { id, policy: QUICK });
    const sink = (path: string, port = broker.port) =>
      amqp10Sink(address(path, "sink", port), env, { id: "g/out", policy: QUICK });
    const breakConnections = (): void => wire.snap();
    const pathOf = (queue: string): string => `/queue/${encodeURIComponent(node(queue))}`;
    const publish = (to: string, bodies: readonly string[]): Promise<void> =>
      client.publish(
        to,
        // The same message has the same id, which is no place for a large one.
        bodies.map((body) => ({ body, id: body.slice(0, ID_CHARS) })),
      );

    feedContract(
      `a queue over AMQP 1.0 on ${name}`,
      async () => {
        const queue = next("q");
        await broker.makeQueue(queue);
        return {
          connect: (most) => feed(`${pathOf(queue)}?prefetch=${most}&ids=message`, next("node"), wire.port),
          breakConnections,
          send: (bodies) => publish(node(queue), bodies),
          close: async () => undefined,
        };
      },
      { overruns },
    );

    sinkContract(
      `a queue over AMQP 1.0 on ${name}`,
      async () => {
        const queue = next("q");
        await broker.makeQueue(queue);
        // What was drained and not accepted in time comes again, under its id.
        const seen = new Map<string, Json>();
        return {
          connect: () => sink(pathOf(queue), wire.port),
          breakConnections,
          async content() {
            for (const { id, data } of await client.drain(node(queue))) seen.set(id, JSON.parse(data) as Json);
            return [...seen.values()];
          },
          close: async () => undefined,
        };
      },
      { runs: times(5, 15) },
    );

    if (topic !== undefined)
      feedContract(`a topic over AMQP 1.0 on ${name} with a durable subscription`, async () => {
        const at = topic(next("t"));
        const id = next("g/in");
        const path = `/topic/${encodeURIComponent(at)}`;
        // A subscription gets what is sent after it was made.
        await ListeningFeed.made(feed(path, id), (body) => publish(at, [body]));
        return {
          connect: (most) => feed(`${path}?prefetch=${most}`, id, wire.port),
          breakConnections,
          send: (bodies) => publish(at, bodies),
          close: async () => undefined,
        };
      });

    test("an envelope says address, id and properties; what is neither text nor bytes is a dead letter", async () => {
      const queue = next("q");
      await broker.makeQueue(queue);
      const to = sink(pathOf(queue));
      await to.open(undefined);
      await to.deliver([slice(5, [{ text: "é\u0000\n" }])]);
      await client.publish(node(queue), [
        { body: "1", id: "mine", properties: { region: "eu" } },
        { body: { not: "text" } },
      ]);
      const all = new ListeningFeed(feed(`${pathOf(queue)}?envelope=true&ids=message`));
      await all.has(2);
      await vi.waitFor(() => expect(all.errors.length).toBe(1), WAIT);
      await all.end();
      expect(all.taken).toMatchObject([
        { address: node(queue), id: "g/out/l/5/0", redelivered: false, data: { text: "é\u0000\n" } },
        { id: "mine", properties: { region: "eu" }, data: 1 },
      ]);
      expect(all.receipts.map(({ id }) => id)).toEqual(["g/out/l/5/0", "mine"]);
      expect(all.errors[0]).toMatchObject([
        { code: "MSG-DECODE", kind: "rejected", place: { stream: node(queue) } },
        null,
      ]);
      await to.close();
    });

    test("rows say the priority of their messages, which come by it and tell it", async () => {
      const queue = next("q");
      await broker.makePriorityQueue(queue);
      const to = sink(`${pathOf(queue)}?priority=urgency`);
      await to.open(undefined);
      await to.deliver([
        slice(
          0,
          [0, 9, 4].map((urgency) => ({ urgency })),
        ),
      ]);
      const refusal = await to.deliver([slice(3, [{ urgency: "high" }])]).catch(reportOf);
      expect(refusal).toMatchObject({ code: "AMQP10-PRIORITY", kind: "rejected", details: { field: "urgency" } });
      await to.close();
      const all = sink(`${pathOf(queue)}?priority=7`);
      await all.open(undefined);
      await all.deliver([slice(4, [{ urgency: 7 }])]);
      await all.close();
      const from = new ListeningFeed(feed(`${pathOf(queue)}?envelope=true`));
      await from.has(4);
      await from.end();
      expect(from.taken).toMatchObject([9, 7, 4, 0].map((urgency) => ({ priority: urgency, data: { urgency } })));
    });

    test(
      "events are in messages and properties as the specification wants them, both ways",
      async () => {
        const names = [next("e"), next("e"), next("e"), next("e")];
        for (const name of names) await broker.makeQueue(name);
        const seen = new Map<string, Drained[]>(names.map((name) => [name, []]));
        const places = names.map((name) => {
          const path = `amqp10://127.0.0.1:${broker.port}${pathOf(name)}`;
          return { name, source: path, sink: path };
        });
        await expectEvents({
          ...byHand("cloudEvents:"),
          places,
          send: (queue, messages) =>
            client.publish(
              node(queue),
              messages.map(({ body, headers, contentType }) => ({
                ...{ body, properties: headers },
                ...(contentType === undefined ? {} : { type: contentType }),
              })),
            ),
          async read(queue) {
            const messages = await client.drain(node(queue), seen.get(queue));
            // What was taken and not accepted in time came again.
            const each = new Map(messages.map((message) => [message.data, message]));
            return [...each.values()].map(({ data, properties, type }) => ({
              ...{ body: data, contentType: type },
              headers: properties as Record<string, string>,
            }));
          },
        });
      },
      EVENTS_LIMIT_MS,
    );

    test(
      "messages are those of a schema registry",
      async () => {
        const [from, to] = [next("q"), next("q")];
        for (const queue of [from, to]) await broker.makeQueue(queue);
        const at = (queue: string): string => `amqp10://127.0.0.1:${broker.port}${pathOf(queue)}`;
        const ends = bytesEnds(client, node(from), node(to));
        await expectRegistered({
          source: at(from),
          sink: at(to),
          stream: node(from),
          subject: node(to),
          ...ends,
        });
        expect(ends.seen[0]?.type).toBe("application/octet-stream");
      },
      REGISTERED_LIMIT_MS,
    );

    test("a large message goes there and back", async () => {
      const queue = next("q");
      await broker.makeQueue(queue);
      const to = sink(pathOf(queue));
      await to.open(undefined);
      const large = { text: "x".repeat(5_000_000) };
      await to.deliver([slice(0, [large, 1])]);
      await to.close();
      const back = new ListeningFeed(feed(pathOf(queue)));
      await back.has(2);
      await back.end();
      expect(back.taken).toEqual([large, 1]);
    });

    test.skipIf(!counts)(
      "a message that was delivered too often is a dead letter, whole; without a limit it goes on coming",
      async () => {
        const queue = next("q");
        await broker.makeQueue(queue);
        await publish(node(queue), ['{"poison":1}']);
        for (let delivery = 0; delivery < 2; delivery++) {
          const taking = new ListeningFeed(feed(`${pathOf(queue)}?deliveries=2`));
          await taking.has(1);
          await taking.end();
          await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
        }
        const refusing = new ListeningFeed(feed(`${pathOf(queue)}?deliveries=2`));
        await vi.waitFor(() => expect(refusing.errors.length).toBe(1), WAIT);
        expect(refusing.errors).toMatchObject([
          [{ code: "AMQP10-DELIVERIES", place: { stream: node(queue) }, details: { deliveries: 3 } }, { poison: 1 }],
        ]);
        await refusing.end();
        const patient = new ListeningFeed(feed(pathOf(queue)));
        await patient.has(1);
        await patient.end();
      },
    );

    test("what is missing or refused is shown with its reason", async () => {
      const { refusals } = broker;
      for (const [path, reason] of refusals) {
        const from = new ListeningFeed(feed(path));
        await from.shows(reason);
        await from.end();
      }
      for (const [path, reason] of broker.sinkRefusals) {
        const to = sink(path);
        await to.open(undefined);
        expect(await to.deliver([slice(0, [1])]).catch(reportOf)).toMatchObject({
          message: expect.stringMatching(reason),
        });
        await to.close();
      }
    });
  });
}
