/** RabbitMQ connectors against a real broker. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Feed,
  type Json,
  parseRabbitmqAddress,
  type RabbitmqAddress,
  reportOf,
  systemEnv,
} from "@millrace/engine";
import { feedContract, sinkContract } from "@millrace/engine/testing";
import { rabbitmqFeed, rabbitmqSink } from "@millrace/streams/rabbitmq";
import { type ConfirmChannel, connect } from "amqplib";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { opensslMissing, selfSigned } from "../../services/certificate.ts";
import { type RabbitServer, rabbitmqMissing, startRabbit } from "../../services/rabbitmq-server.ts";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { times } from "../faults/form.ts";
import { GraphFolder } from "../faults/graph-folder.ts";
import { start } from "../millrace.ts";
import { byHand, EVENTS_LIMIT_MS, expectEvents, type WireMessage } from "./broker-events.ts";
import { expectRegistered, REGISTERED_LIMIT_MS } from "./registered-messages.ts";
import { numbers, QUICK, RunningGraph, slice, WAIT } from "./running-graph.ts";

const env = systemEnv();
const START_MS = 240_000;
const KILLS = times(1, 3);
const QUORUM = { durable: true, arguments: { "x-queue-type": "quorum" } };

/** The test takes its messages one by one. */
const FEW = { many: 60, runs: times(5, 15) };

describe.skipIf(rabbitmqMissing)(
  `RabbitMQ${rabbitmqMissing === undefined ? "" : ` (skipped: ${rabbitmqMissing})`}`,
  () => {
    let broker: RabbitServer;
    let channel: ConfirmChannel;
    let wire: TcpProxy;
    let hangUp: () => Promise<void>;
    let count = 0;
    const next = (name: string): string => `${name}${++count}`;
    const dial = async (): Promise<void> => {
      const model = await connect(`amqp://${broker.server.address}`);
      model.on("error", () => undefined);
      channel = await model.createConfirmChannel();
      channel.on("error", () => undefined);
      hangUp = () => model.close().catch(() => undefined);
    };

    beforeAll(async () => {
      broker = await startRabbit(["max_message_size = 1000000"]);
      wire = await TcpProxy.to(broker.server);
      await dial();
    }, START_MS);
    afterAll(async () => {
      await hangUp?.();
      await wire?.close();
      await broker?.stop();
    }, START_MS);

    const address = (path: string, side: "source" | "sink" = "source", at = broker.server.address): RabbitmqAddress => {
      const parsed = parseRabbitmqAddress(`//${at}${path}`, side);
      if ("fault" in parsed) throw new Error(parsed.fault);
      return parsed;
    };
    const feed = (path: string, id = next("node"), at = broker.server.address): Feed =>
      rabbitmqFeed(address(path, "source", at), env, { id, policy: QUICK });
    const breakConnections = (): void => wire.snap();
    const sink = (path: string, key?: string, at = broker.server.address) =>
      rabbitmqSink(address(path, "sink", at), env, { id: "g/out", key, policy: QUICK });
    const publish = async (queue: string, bodies: readonly string[], ids = false): Promise<void> => {
      for (const body of bodies)
        channel.sendToQueue(queue, Buffer.from(body), { persistent: true, ...(ids ? { messageId: body } : {}) });
      await channel.waitForConfirms();
    };
    /** Takes all there is; `ids` gets the messages' own. */
    const drain = async (queue: string, ids = new Set<string>()): Promise<Json[]> => {
      const rows: Json[] = [];
      for (;;) {
        const message = await channel.get(queue, { noAck: true });
        if (message === false) return rows;
        ids.add(String(message.properties.messageId));
        rows.push(JSON.parse(message.content.toString()) as Json);
      }
    };
    /** Runs a feed and keeps what it hands over. */
    const listen = (from: Feed) => {
      const taken: Json[] = [];
      const errors: unknown[] = [];
      const stop = new AbortController();
      const running = from.run(
        {
          cursor: undefined,
          takeGroup: () => undefined,
          take: (message) => taken.push(message),
          reject: (error, message) => errors.push([reportOf(error), message]),
          lose: () => undefined,
        },
        stop.signal,
      );
      const end = async (): Promise<void> => {
        stop.abort();
        await running;
      };
      return { taken, errors, end };
    };

    for (const type of ["quorum", "classic"] as const) {
      feedContract(`a ${type} queue of RabbitMQ`, async () => {
        const queue = next("q");
        await channel.assertQueue(queue, { durable: true, arguments: { "x-queue-type": type } });
        return {
          connect: (most) => feed(`/queue/${queue}?prefetch=${most}&ids=message`, next("node"), wire.address),
          send: (bodies) => publish(queue, bodies),
          breakConnections,
          close: async () => void (await channel.deleteQueue(queue)),
        };
      });
    }

    feedContract("a topic exchange of RabbitMQ", async () => {
      const exchange = next("x");
      const id = next("g/in");
      await channel.assertExchange(exchange, "topic");
      const path = `/exchange/${exchange}?key=a.%23`;
      const queue = `millrace/${id}/a.#`;
      // The queue is made by the first that listens.
      const first = feed(path, id);
      const { end } = listen(first);
      await vi.waitFor(async () => {
        channel.publish(exchange, "a.b", Buffer.from('"probe"'), { mandatory: true });
        await channel.waitForConfirms();
        const probe = await connect(`amqp://${broker.server.address}`);
        const own = await probe.createChannel();
        own.on("error", () => undefined);
        const found = await own.checkQueue(queue).finally(() => probe.close());
        expect(found.consumerCount).toBe(1);
      }, WAIT);
      await end();
      await vi.waitFor(async () => expect((await channel.checkQueue(queue)).consumerCount).toBe(0), WAIT);
      await channel.purgeQueue(queue);
      return {
        connect: (most) => feed(`${path}&prefetch=${most}`, id, wire.address),
        breakConnections,
        async send(bodies) {
          for (const [i, body] of bodies.entries()) channel.publish(exchange, `a.${i}`, Buffer.from(body));
          channel.publish(exchange, "b.c", Buffer.from('"of another key"'));
          await channel.waitForConfirms();
        },
        close: async () => void (await channel.deleteQueue(queue)),
      };
    });

    sinkContract(
      "a queue of RabbitMQ",
      async () => {
        const queue = next("q");
        await channel.assertQueue(queue, QUORUM);
        const seen: Json[] = [];
        return {
          connect: () => sink(`/queue/${queue}`, undefined, wire.address),
          async content() {
            seen.push(...(await drain(queue)));
            return seen;
          },
          breakConnections,
          close: async () => void (await channel.deleteQueue(queue)),
        };
      },
      FEW,
    );

    sinkContract(
      "an exchange of RabbitMQ",
      async () => {
        const [exchange, queue] = [next("x"), next("q")];
        await channel.assertExchange(exchange, "fanout");
        await channel.assertQueue(queue, QUORUM);
        await channel.bindQueue(queue, exchange, "");
        const seen: Json[] = [];
        return {
          connect: () => sink(`/exchange/${exchange}`, undefined, wire.address),
          async content() {
            seen.push(...(await drain(queue)));
            return seen;
          },
          breakConnections,
          close: async () => void (await channel.deleteQueue(queue)),
        };
      },
      FEW,
    );

    test("rows say the priority of their messages, which come by it and tell it", async () => {
      const queue = next("q");
      await channel.assertQueue(queue, { durable: true, maxPriority: 9 });
      const to = sink(`/queue/${queue}?priority=urgency`);
      await to.open(undefined);
      await to.deliver([
        slice(
          0,
          [0, 9, 4].map((urgency) => ({ urgency })),
        ),
      ]);
      const refusal = await to.deliver([slice(3, [{ urgency: 1.5 }])]).catch(reportOf);
      expect(refusal).toMatchObject({ code: "RABBITMQ-PRIORITY", kind: "rejected", details: { field: "urgency" } });
      await to.close();
      const { taken, end } = listen(feed(`/queue/${queue}?envelope=true`));
      await vi.waitFor(() => expect(taken.length).toBe(3), WAIT);
      await end();
      expect(taken).toMatchObject([9, 4, 0].map((urgency) => ({ priority: urgency, data: { urgency } })));
      await channel.deleteQueue(queue);
    });

    test("an envelope says exchange, key, id and headers of a message that a sink sent by a field's value", async () => {
      const [exchange, queue] = [next("x"), next("q")];
      await channel.assertExchange(exchange, "topic");
      await channel.assertQueue(queue, QUORUM);
      await channel.bindQueue(queue, exchange, "eu.*");
      const to = sink(`/exchange/${exchange}`, "region");
      await to.open(undefined);
      await to.deliver([slice(5, [{ region: "eu.hu" }])]);
      channel.publish(exchange, "eu.at", Buffer.from("1"), { headers: { n: 1, bytes: Buffer.from("ab") } });
      await channel.waitForConfirms();
      const { taken, end } = listen(feed(`/queue/${queue}?envelope=true`));
      await vi.waitFor(() => expect(taken.length).toBe(2), WAIT);
      const usual = { exchange, priority: null, redelivered: false };
      expect(taken).toEqual([
        {
          ...{ ...usual, key: "eu.hu", id: "g/out/l/5/0", contentType: "application/json" },
          ...{ headers: {}, data: { region: "eu.hu" } },
        },
        {
          ...{ ...usual, key: "eu.at", id: null, contentType: null },
          ...{ headers: { n: 1, bytes: { base64: "YWI=" } }, data: 1 },
        },
      ]);
      await end();
      await to.close();
    });

    test(
      "events are in messages and headers as the specification wants them, both ways",
      async () => {
        const names = numbers(0, 4).map(() => next("e"));
        const seen = new Map<string, WireMessage[]>(names.map((name) => [name, []]));
        for (const name of names) await channel.assertQueue(name, QUORUM);
        const places = names.map((name) => {
          const path = `rabbitmq://${broker.server.address}/queue/${name}`;
          return { name, source: path, sink: path };
        });
        await expectEvents({
          ...byHand("cloudEvents:"),
          places,
          async send(queue, messages) {
            for (const { body, headers, contentType } of messages)
              channel.sendToQueue(queue, Buffer.from(body), {
                headers,
                ...(contentType === undefined ? {} : { contentType }),
              });
            await channel.waitForConfirms();
          },
          async read(queue) {
            const messages = seen.get(queue) ?? [];
            for (;;) {
              const message = await channel.get(queue, { noAck: true });
              if (message === false) return messages;
              const { headers = {}, contentType } = message.properties;
              messages.push({
                body: message.content.toString(),
                headers: headers as Record<string, string>,
                contentType,
              });
            }
          },
        });
      },
      EVENTS_LIMIT_MS,
    );

    test("what no queue is bound for or has no key is a dead letter, and the rest is there once", async () => {
      const [exchange, queue, from] = [next("x"), next("q"), next("q")];
      await channel.assertExchange(exchange, "topic");
      await channel.assertQueue(queue, QUORUM);
      await channel.assertQueue(from, QUORUM);
      await channel.bindQueue(queue, exchange, "good");
      const rows: Json[] = numbers(0, 40).map((n) => ({ n, key: n % 10 === 3 ? "nowhere" : "good" }));
      rows[15] = { n: 15 };
      await publish(
        from,
        rows.map((row) => JSON.stringify(row)),
      );
      const graph = await RunningGraph.start(`name: ${next("g")}
nodes:
  in:  { kind: source, from: "rabbitmq://${broker.server.address}/queue/${from}" }
  out: { kind: sink, input: in, to: "rabbitmq://${broker.server.address}/exchange/${exchange}", key: [key] }
`);
      try {
        const got: Json[] = [];
        await vi.waitFor(async () => {
          got.push(...(await drain(queue)));
          expect(got.length).toBeGreaterThanOrEqual(35);
        }, WAIT);
        expect(got.map((row) => (row as { n: number }).n)).toEqual(
          numbers(0, 40).filter((n) => n % 10 !== 3 && n !== 15),
        );
      } finally {
        await graph.stop();
      }
    });

    test(
      "a link that falls silent is given up, and neither the next one nor an end waits for its farewell",
      async () => {
        const silent = await TcpProxy.to(broker.server);
        const [from, into] = [next("q"), next("q")];
        for (const queue of [from, into]) await channel.assertQueue(queue, QUORUM);
        const heard = feed(`/queue/${from}`, next("node"), silent.address);
        const listening = listen(heard);
        const is = (connects: number): Promise<void> =>
          vi.waitFor(() => expect(heard.connection()).toMatchObject({ state: "up", connects }), WAIT);
        const to = sink(`/queue/${into}`, undefined, silent.address);
        try {
          await is(1);
          await to.open(undefined);
          await to.deliver([slice(0, [1])]);
          silent.hold();
          await to.close();
          await is(2);
        } finally {
          await listening.end();
          await silent.close();
        }
      },
      START_MS,
    );

    test("a message that is too large is told by its code, and the sink goes on with the next", async () => {
      const queue = next("q");
      await channel.assertQueue(queue, QUORUM);
      const to = sink(`/queue/${queue}`);
      await to.open(undefined);
      const large = { text: "x".repeat(1_100_000) };
      expect(await to.deliver([slice(0, [large])]).catch(reportOf)).toMatchObject({
        code: "RABBITMQ-TOO-LARGE",
        kind: "rejected",
      });
      await to.deliver([slice(1, [1])]);
      await to.close();
      expect(await drain(queue)).toEqual([1]);
    });

    test("a full queue that refuses more is told by its code, and what it took is not sent again", async () => {
      const queue = next("q");
      const limit = { "x-queue-type": "classic", "x-max-length": 3, "x-overflow": "reject-publish" };
      await channel.assertQueue(queue, { arguments: limit });
      const to = sink(`/queue/${queue}`);
      await to.open(undefined);
      expect(await to.deliver([slice(0, numbers(0, 6))]).catch(reportOf)).toMatchObject({
        code: "RABBITMQ-NACK",
        kind: "transient",
      });
      expect(await drain(queue)).toEqual([0, 1, 2]);
      await to.deliver([slice(0, numbers(0, 6))]);
      expect(await drain(queue)).toEqual([3, 4, 5]);
      await to.close();
    });

    test("a message that was delivered too often is a dead letter, whole; without a limit it goes on coming", async () => {
      const queue = next("q");
      await channel.assertQueue(queue, QUORUM);
      await publish(queue, ['{"poison":1}']);
      for (let delivery = 0; delivery < 2; delivery++) {
        const taking = listen(feed(`/queue/${queue}?deliveries=2`));
        await vi.waitFor(() => expect(taking.taken).toEqual([{ poison: 1 }]), WAIT);
        await taking.end();
      }
      const refusing = listen(feed(`/queue/${queue}?deliveries=2`));
      await vi.waitFor(() => expect(refusing.errors.length).toBe(1), WAIT);
      expect(refusing.errors).toMatchObject([
        [{ code: "RABBITMQ-DELIVERIES", place: { stream: queue }, details: { deliveries: 3 } }, { poison: 1 }],
      ]);
      await refusing.end();
      const patient = listen(feed(`/queue/${queue}`));
      await vi.waitFor(() => expect(patient.taken).toEqual([{ poison: 1 }]), WAIT);
      await patient.end();
    });

    test("what is missing, refused or no queue to be read is shown with its reason; a password never is", async () => {
      const stream = next("q");
      await channel.assertQueue(stream, { durable: true, arguments: { "x-queue-type": "stream" } });
      const shows = async (from: Feed, reason: RegExp): Promise<void> => {
        const listening = listen(from);
        await vi.waitFor(() => expect(from.connection().reason).toMatch(reason), WAIT);
        await listening.end();
      };
      await shows(feed("/queue/none"), /NOT_FOUND - no queue 'none'/);
      await shows(feed("/exchange/none?key=a"), /NOT_FOUND - no exchange 'none'/);
      await shows(feed("/queue/x?vhost=nowhere"), /there is no virtual host `nowhere`/);
      const wrong = feed(`/queue/${stream}`);
      const listening = listen(wrong);
      await vi.waitFor(async () => {
        await publish(stream, ["1"]);
        expect(wrong.connection().reason).toMatch(/is a stream/);
      }, WAIT);
      await listening.end();
      expect(listening.taken).toEqual([]);
      const at = address("/queue/x", "source", `ada:wr0ng@127.0.0.1:1,${broker.server.address}`);
      const refused = rabbitmqFeed(at, env, { id: next("n"), policy: QUICK });
      await shows(refused, /127\.0\.0\.1:1: .*REFUSED.*; 127\.0\.0\.1:\d+: .*ACCESS.REFUSED/);
      expect(JSON.stringify(refused.connection())).not.toContain("wr0ng");
      const to = sink("/queue/later");
      await to.open(undefined);
      expect(await to.deliver([slice(0, [1])]).catch(reportOf)).toMatchObject({
        code: "SINK-FAILED",
        message: expect.stringContaining("no queue 'later'"),
      });
      await channel.assertQueue("later", QUORUM);
      await to.deliver([slice(0, [1])]);
      await to.close();
      expect(await drain("later")).toEqual([1]);
    });

    test.skipIf(opensslMissing)(
      "a graph talks to a broker over an encrypted connection that it trusts, and to no other",
      async () => {
        const directory = mkdtempSync(join(tmpdir(), "millrace-rabbitmq-tls-"));
        const { cert, key } = selfSigned(directory);
        chmodSync(key, 0o644);
        const secure = await startRabbit([
          `ssl_options.certfile = ${cert}`,
          `ssl_options.keyfile = ${key}`,
          "default_user = ada",
          "default_pass = s3cret",
        ]);
        const at = (options: string, name: string): string => `name: ${name}
nodes:
  tick: { kind: source, from: "metronome:50ms" }
  send: { kind: sink, input: tick, to: "rabbitmq://ada:s3cret@localhost:${secure.server.port}/exchange/amq.fanout${options}" }
  hear: { kind: source, from: "rabbitmq://ada:s3cret@localhost:${secure.server.port}/exchange/amq.fanout${options}&key=all" }
  out:  { kind: sink, input: hear, to: "discard:" }
`;
        const trusting = await RunningGraph.start(at(`?tls=true&ca=${cert}`, "trusting"));
        const doubting = await RunningGraph.start(at("?tls=true", "doubting"));
        try {
          await vi.waitFor(
            () => expect(trusting.status().nodes.find(({ node }) => node === "out")?.messagesIn).toBeGreaterThan(2),
            WAIT,
          );
          const reason = (): string | undefined =>
            doubting.status().nodes.find(({ node }) => node === "hear")?.connection?.reason;
          await vi.waitFor(() => expect(reason()).toMatch(/self.signed certificate/i), WAIT);
        } finally {
          await trusting.stop();
          await doubting.stop();
          await secure.stop();
          rmSync(directory, { recursive: true, force: true });
        }
      },
      START_MS,
    );

    test(
      "messages of queues and streams are those of a schema registry",
      async () => {
        for (const kind of ["queue", "stream"]) {
          const [from, to] = [next("q"), next("q")];
          await channel.assertQueue(from, {
            durable: true,
            arguments: { "x-queue-type": kind === "queue" ? "quorum" : kind },
          });
          await channel.assertQueue(to, QUORUM);
          const at = `rabbitmq://${broker.server.address}`;
          const seen: Buffer[] = [];
          await expectRegistered({
            source: `${at}/${kind}/${from}`,
            sink: `${at}/queue/${to}`,
            stream: from,
            subject: to,
            async send(bodies) {
              for (const body of bodies) channel.sendToQueue(from, body, { persistent: true });
              await channel.waitForConfirms();
            },
            async received() {
              for (;;) {
                const message = await channel.get(to, { noAck: true });
                if (message === false) return seen;
                expect(message.properties.contentType).toBe("application/octet-stream");
                seen.push(message.content);
              }
            },
          });
        }
      },
      REGISTERED_LIMIT_MS,
    );

    test(
      "a run in a process that is killed again and again loses nothing, and takes nothing twice by its ids",
      async () => {
        const [from, to] = [next("in"), next("out")];
        await channel.assertQueue(from, QUORUM);
        await channel.assertQueue(to, QUORUM);
        const total = 10_000;
        await publish(from, numbers(0, total).map(String), true);
        const folder = new GraphFolder({
          "graph.yaml": `name: killed
nodes:
  in:  { kind: source, from: "rabbitmq://\${env:RABBIT}@${broker.server.address}/queue/${from}?prefetch=100&ids=message" }
  out: { kind: sink, input: in, to: "rabbitmq://\${env:RABBIT}@${broker.server.address}/queue/${to}" }
`,
        });
        const run = () =>
          start(["run", "graph.yaml", "--json", "--port", "0", "--data", folder.data], {
            cwd: folder.path,
            env: { ...process.env, RABBIT: "guest:guest" },
          });
        const [rows, ids]: [Json[], Set<string>] = [[], new Set()];
        const reaches = (count: number): Promise<void> =>
          vi.waitFor(
            async () => {
              rows.push(...(await drain(to, ids)));
              expect(new Set(rows).size).toBeGreaterThanOrEqual(count);
            },
            { timeout: 150_000, interval: 20 },
          );
        let running = run();
        try {
          for (let kill = 1; kill <= KILLS; kill++) {
            await reaches((total / (KILLS + 2)) * kill);
            running.child.kill("SIGKILL");
            await running.finished;
            running = run();
          }
          await reaches(total);
        } finally {
          running.child.kill("SIGTERM");
          await running.finished;
          folder.remove();
        }
        rows.push(...(await drain(to, ids)));
        console.log(
          `rabbitmq ${broker.server.greeting}: ${total} messages, ${KILLS} kills -9 of millrace: ${total - new Set(rows).size} lost, ${rows.length - total} twice, of these ${ids.size - total} under another id`,
        );
        expect([...new Set(rows)].map(Number).sort((a, b) => a - b)).toEqual(numbers(0, total));
        expect(ids.size).toBe(total);
      },
      START_MS,
    );
  },
);
