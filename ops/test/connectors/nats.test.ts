/** NATS connectors against real servers. */
import {
  type Json,
  type JsonObject,
  type NatsAddress,
  Positions,
  parseNatsAddress,
  RowBatch,
  reportOf,
  type SourceConnector,
  systemEnv,
} from "@millrace/engine";
import { feedContract, sinkContract, sourceContract } from "@millrace/engine/testing";
import { natsFeed, natsSink, natsSource } from "@millrace/streams/nats";
import { connect, headers, type NatsConnection, nanos, type StoredMsg } from "nats";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { natsServers, startNats, withPassword } from "../../services/nats-server.ts";
import type { ServerProcess } from "../../services/server-process.ts";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { isFull, times } from "../faults/form.ts";
import { byHand, EVENTS_LIMIT_MS, expectEvents } from "./broker-events.ts";
import { ListeningFeed } from "./listening-feed.ts";
import { expectRegistered, REGISTERED_LIMIT_MS } from "./registered-messages.ts";
import { WAIT } from "./running-graph.ts";

const env = systemEnv();
const POLICY = { backoffMs: 10, backoffMaxMs: 50, suspendMs: 100, probeTimeoutMs: 1000 };
/** The short form runs on the newest server; those of edges and faults on the oldest, that of the transport on both. */
const servers = natsServers().slice(isFull ? 0 : -1);

describe.skipIf(servers.length === 0)("NATS", () => {
  for (const kind of servers) {
    describe(kind.binary.includes("v2") ? "a newer server" : "Debian's server", () => {
      let server: ServerProcess;
      let nc: NatsConnection;
      let wire: TcpProxy;
      let count = 0;
      const next = (name: string): string => `${name}${++count}`;

      beforeAll(async () => {
        server = await startNats(kind);
        wire = await TcpProxy.to(server);
        nc = await connect({ servers: server.address });
      });
      afterAll(async () => {
        await nc?.close();
        await wire?.close();
        await server?.stop();
      });

      const address = (path: string, side: "source" | "sink" = "source", at = server.address): NatsAddress => {
        const parsed = parseNatsAddress(`//${at}${path}`, side);
        if ("fault" in parsed) throw new Error(parsed.fault);
        return parsed;
      };
      const source = (path: string, at = server.address): SourceConnector =>
        natsSource(address(path, "source", at), env, { policy: POLICY, pollMs: 20 });
      const breakConnections = (): void => wire.snap();
      const newStream = async (limits: object = {}): Promise<string> => {
        const name = next("S");
        const jsm = await nc.jetstreamManager();
        await jsm.streams.add({ name, subjects: [`${name}.>`], ...limits });
        return name;
      };
      const publish = async (stream: string, rows: readonly Json[], subject = "a"): Promise<void> => {
        const js = nc.jetstream();
        await Promise.all(rows.map((row) => js.publish(`${stream}.${subject}`, JSON.stringify(row))));
      };

      for (const ending of ["", "?until=now"]) {
        sourceContract(`a JetStream stream${ending === "" ? "" : " until now"}`, {
          positions: times(6, 20),
          async holding(rows) {
            const stream = await newStream();
            await publish(stream, rows);
            const connector = source(`/jetstream/${stream}${ending}`, wire.address);
            const add = (more: readonly Json[]): Promise<void> => publish(stream, more);
            return { connector, add, breakConnections, close: async () => undefined };
          },
          async holdingBad(rows) {
            const stream = await newStream();
            const js = nc.jetstream();
            for (const [i, row] of rows.entries()) {
              await js.publish(`${stream}.a`, JSON.stringify(row));
              if (i % 10 === 5) await js.publish(`${stream}.a`, Buffer.from([0x7b, 0xff, 0x22]));
            }
            const connector = source(`/jetstream/${stream}${ending}`);
            return { connector, bad: 3, close: async () => undefined };
          },
          async missing() {
            return { connector: source(`/jetstream/NONE${ending}`), close: async () => undefined };
          },
        });
      }

      sourceContract("the changes of a key-value bucket", {
        positions: times(6, 20),
        async holding(rows) {
          const bucket = next("B");
          const kv = await nc.jetstream().views.kv(bucket, { history: 64 });
          for (const row of rows) await kv.put(`k${row.id}`, JSON.stringify(row));
          const connector = source(`/kv/${bucket}`, wire.address);
          const messages: JsonObject[] = [];
          for (const row of rows) {
            const { created } = (await kv.get(`k${row.id}`)) as { created: Date };
            const revision = messages.length + 1;
            messages.push({ key: `k${row.id}`, value: row, operation: "put", revision, time: created.toISOString() });
          }
          return { connector, messages, breakConnections, close: async () => undefined };
        },
      });

      sinkContract(
        "a JetStream subject",
        async () => {
          const stream = await newStream();
          return {
            connect: () =>
              natsSink(address(`/jetstream/${stream}.out`, "sink", wire.address), { id: "g/out" }, env, POLICY),
            content: async () => rowsOf(nc, stream),
            breakConnections,
            close: async () => undefined,
          };
        },
        { runs: times(5, 15) },
      );

      sinkContract(
        "a key-value bucket",
        async () => {
          const bucket = next("B");
          await nc.jetstream().views.kv(bucket);
          return {
            connect: () =>
              natsSink(address(`/kv/${bucket}`, "sink", wire.address), { id: "g/out", key: "id" }, env, POLICY),
            content: async () => rowsOf(nc, `KV_${bucket}`),
            breakConnections,
            close: async () => undefined,
          };
        },
        { runs: times(5, 15) },
      );

      sinkContract(
        "a core subject",
        async () => {
          const subject = next("core");
          const seen: Json[] = [];
          const subscription = nc.subscribe(subject, { callback: (_, m) => seen.push(m.json() as Json) });
          await nc.flush();
          return {
            connect: () => natsSink(address(`/core/${subject}`, "sink", wire.address), { id: "g/out" }, env, POLICY),
            breakConnections,
            async content() {
              await nc.flush();
              return seen;
            },
            close: async () => subscription.unsubscribe(),
          };
        },
        { runs: times(5, 15) },
      );

      feedContract(
        "a core subject",
        async () => {
          const subject = next("core");
          return {
            connect: () => natsFeed(address(`/core/${subject}`, "source", wire.address), env, { policy: POLICY }),
            async send(bodies) {
              for (const body of bodies) nc.publish(subject, body);
              await nc.flush();
            },
            breakConnections,
            close: async () => undefined,
          };
        },
        { isLossy: true },
      );

      test("hosts that are down are passed over, and a password is used and never shown", async () => {
        const closed = await startNats(withPassword(kind, "ada", "s3cret"));
        try {
          const at = (auth: string, hosts: string): SourceConnector => {
            const parsed = parseNatsAddress(`//${auth}${hosts}/jetstream/S?until=now`, "source");
            if ("fault" in parsed) throw new Error(parsed.fault);
            return natsSource(parsed, env, { policy: POLICY, pollMs: 20 });
          };
          const owner = await connect({ servers: closed.address, user: "ada", pass: "s3cret" });
          await (await owner.jetstreamManager()).streams.add({ name: "S", subjects: ["s"] });
          await owner.jetstream().publish("s", "1");
          await owner.close();
          const read = async (source: SourceConnector): Promise<unknown> => {
            const reader = await source.open("0", -1);
            const got = await reader.read(10).catch(reportOf);
            const status = source.connection?.();
            await reader.close();
            return { ...status, code: (got as { readonly code?: string }).code };
          };
          const hosts = `127.0.0.1:1,${closed.address}`;
          expect(await read(at("ada:s3cret@", hosts))).toMatchObject({
            state: "up",
            endpoint: closed.address,
            failures: 0,
          });
          const refused = await read(at("ada:wr0ng@", hosts));
          expect(refused).toMatchObject({ state: "backing-off", code: "CONNECTION-FAILED", failures: 1 });
          expect(JSON.stringify(refused)).toMatch(/127\.0\.0\.1:1: .*refused.*; 127\.0\.0\.1:\d+: .*Authorization/i);
          expect(JSON.stringify(refused)).not.toContain("wr0ng");
        } finally {
          await closed.stop();
        }
      });

      test("a filter reads its subject only, and covers what the others are", async () => {
        const stream = await newStream();
        await publish(stream, [1, 2], "a");
        await publish(stream, [3, 4, 5], "b.c");
        const reader = await source(`/jetstream/${stream}?filter=${stream}.a`).open("0", -1);
        // A read gives what has arrived by then.
        const rows: Json[] = [];
        let through = 0;
        for (let read = await reader.read(10); typeof read !== "string"; read = await reader.read(10)) {
          rows.push(...read.batch.rows());
          through = read.through;
        }
        expect([rows, through]).toEqual([[1, 2], 5]);
        await reader.close();
      });

      test("an envelope has the subject, the headers and the time", async () => {
        const stream = await newStream();
        const head = headers();
        head.set("Trace", "x");
        await nc.jetstream().publish(`${stream}.q`, '{"n":1}', { headers: head });
        const reader = await source(`/jetstream/${stream}?envelope=true`).open("0", -1);
        const read = await reader.read(10);
        expect(read).toMatchObject({ through: 1 });
        expect((read as { batch: { row(i: number): Json } }).batch.row(0)).toEqual({
          subject: `${stream}.q`,
          sequence: 1,
          time: expect.stringMatching(/^\d{4}-.*Z$/),
          headers: { Trace: "x" },
          data: { n: 1 },
        });
        await reader.close();
      });

      test(
        "events are in messages and headers as the specification wants them, both ways",
        async () => {
          const names = numbers(0, 4).map(() => next("E"));
          const places = names.map((name) => ({
            name,
            source: `nats://${server.address}/jetstream/${name}`,
            sink: `nats://${server.address}/jetstream/${name}.a`,
          }));
          const jsm = await nc.jetstreamManager();
          for (const name of names) await jsm.streams.add({ name, subjects: [`${name}.>`] });
          const kept = byHand("ce-", { write: encodeURIComponent, read: decodeURIComponent });
          await expectEvents({
            places,
            typeHeader: "content-type",
            async send(place, messages) {
              for (const { body, headers: said } of messages) {
                const head = headers();
                for (const [name, value] of Object.entries(said)) head.set(name, value);
                await nc.jetstream().publish(`${place}.a`, body, { headers: head });
              }
            },
            async read(place) {
              const { state } = (await jsm.streams.info(place)) as { readonly state: { readonly messages: number } };
              const found = numbers(1, state.messages).map((seq) => jsm.streams.getMessage(place, { seq }));
              return (await Promise.all(found)).map(({ data, header }) => ({
                body: Buffer.from(data).toString(),
                headers: Object.fromEntries(header.keys().map((name) => [name.toLowerCase(), header.get(name)])),
              }));
            },
            // The type of the data is an attribute like any other.
            toBinary(event) {
              const { body, headers: said, contentType = "" } = kept.toBinary(event);
              return { body, headers: { ...said, "ce-datacontenttype": encodeURIComponent(contentType) } };
            },
            ofBinary: kept.ofBinary,
          });
        },
        EVENTS_LIMIT_MS,
      );

      test(
        "messages of subjects, streams and buckets are those of a schema registry",
        async () => {
          const to = (path: string): string => `nats://${server.address}${path}`;
          const [from, core] = [next("core."), next("core.")];
          const seen: Uint8Array[] = [];
          nc.subscribe(core, { callback: (_, { data }) => seen.push(data) });
          await expectRegistered({
            source: to(`/core/${from}`),
            sink: to(`/core/${core}`),
            stream: from,
            subject: core,
            async send(bodies) {
              for (const body of bodies) nc.publish(from, body);
            },
            received: async () => seen,
          });
          const [stream, out] = [await newStream(), await newStream()];
          await expectRegistered({
            source: to(`/jetstream/${stream}`),
            sink: to(`/jetstream/${out}.b`),
            stream: `${stream}.a`,
            subject: `${out}.b`,
            async send(bodies) {
              for (const body of bodies) await nc.jetstream().publish(`${stream}.a`, body);
            },
            received: async () => (await messagesOf(nc, out)).map(({ data }) => data),
          });
          const js = nc.jetstream();
          const names = [next("B"), next("B")] as const;
          const [bucket, others] = [await js.views.kv(names[0]), await js.views.kv(names[1])];
          let key = 0;
          await expectRegistered({
            source: to(`/kv/${names[0]}`),
            sink: to(`/kv/${names[1]}`),
            field: "value",
            hasKeys: true,
            stream: expect.stringMatching(`^\\$KV\\.${names[0]}\\.k\\d$`),
            subject: names[1],
            async send(bodies) {
              for (const body of bodies) await bucket.put(`k${++key}`, body);
            },
            async received() {
              const entries = await Promise.all(["1", "2"].map((name) => others.get(name)));
              return entries.flatMap((entry) => entry?.value ?? []);
            },
          });
        },
        REGISTERED_LIMIT_MS,
      );

      test("an envelope of a core subject has the subject and the headers", async () => {
        const subject = next("core.");
        const listening = new ListeningFeed(
          natsFeed(address(`/core/${subject}?envelope=true`), env, { policy: POLICY }),
        );
        const head = headers();
        head.set("Trace", "x");
        // What is sent before it listens is not seen by anybody.
        await vi.waitFor(() => {
          nc.publish(subject, '{"n":1}', { headers: head });
          expect(listening.taken[0]).toEqual({ subject, headers: { Trace: "x" }, data: { n: 1 } });
        }, WAIT);
        await listening.end();
      });

      test("what retention removed unread is reported as an exact range, at opening and on the way", async () => {
        const stream = await newStream({ max_msgs: 100 });
        await publish(stream, numbers(0, 150));
        const opened = await source(`/jetstream/${stream}`).open("0", 20);
        expect(await opened.read(10).catch(reportOf)).toMatchObject({
          code: "SOURCE-GAP",
          kind: "terminal",
          details: { stream, from: 22 - 1, to: 50 },
        });
        await opened.close();

        const reader = await source(`/jetstream/${stream}?gap=record`).open("0", 20);
        const first = await reader.read(10);
        expect(first).toMatchObject({
          through: 50,
          rejected: [{ pos: 50, input: { from: 21, to: 50 } }],
          batch: { n: 0 },
        });
        // A read gives what has arrived by then.
        for (let through = 50; through < 60; )
          through = ((await reader.read(60 - through)) as { readonly through: number }).through;
        await publish(stream, numbers(150, 200));
        const seen: number[] = [];
        const gaps: Json[] = [];
        for (let read = await reader.read(1000); read !== "idle" && read !== "end"; read = await reader.read(1000)) {
          seen.push(...read.batch.rows().map(Number));
          gaps.push(...read.rejected.map(({ input }) => input as Json));
        }
        const lost = gaps.map((gap) => gap as unknown as { from: number; to: number });
        // Row i has sequence i + 1; every sequence was either seen or is in a reported range.
        const known = new Set([
          ...seen.map((row) => row + 1),
          ...lost.flatMap(({ from, to }) => numbers(from, to - from + 1)),
        ]);
        expect([...known].sort((a, b) => a - b)).toEqual(numbers(61, 290));
        expect(lost.length).toBeGreaterThan(0);
        await reader.close();
      });

      test("messages that were deleted one by one are holes, not a gap", async () => {
        const stream = await newStream();
        await publish(stream, numbers(1, 10));
        const jsm = await nc.jetstreamManager();
        for (const sequence of [4, 5, 10]) await jsm.streams.deleteMessage(stream, sequence);
        const reader = await source(`/jetstream/${stream}`).open("0", 2);
        const rows: Json[] = [];
        for (let read = await reader.read(100); typeof read !== "string"; read = await reader.read(100)) {
          expect(read.rejected).toEqual([]);
          rows.push(...read.batch.rows());
        }
        expect(rows).toEqual([3, 6, 7, 8, 9]);
        await reader.close();
      });

      test("a stream that was made anew has another identity, or is refused at once if it is shorter", async () => {
        const stream = await newStream();
        await publish(stream, numbers(0, 10));
        const before = await source(`/jetstream/${stream}`).open("0", -1);
        await before.read(100);
        const jsm = await nc.jetstreamManager();
        await jsm.streams.delete(stream);
        await jsm.streams.add({ name: stream, subjects: [`${stream}.>`] });
        await publish(stream, numbers(0, 5));
        const shorter = await source(`/jetstream/${stream}`).open("0", 9);
        expect(await shorter.read(10).catch(reportOf)).toMatchObject({
          code: "SOURCE-RECREATED",
          details: { read: 9, last: 5 },
        });
        const other = await source(`/jetstream/${stream}`).open("0", 3);
        await other.read(10);
        expect(other.identity).not.toBe(before.identity);
        expect(before.identity).toContain(stream);
        for (const reader of [before, shorter, other]) await reader.close();
      });

      test("a work queue is refused: it cannot be read by position", async () => {
        const stream = await newStream({ retention: "workqueue" });
        const reader = await source(`/jetstream/${stream}`).open("0", -1);
        expect(await reader.read(1).catch(reportOf)).toMatchObject({ code: "NATS-RETENTION", kind: "terminal" });
        await reader.close();
      });

      test("a sink leaves out what a dead incarnation wrote, also when the duplicate window is long over", async () => {
        const stream = await newStream({ duplicate_window: nanos(100) });
        const out = (): ReturnType<typeof natsSink> =>
          natsSink(address(`/jetstream/${stream}.out`, "sink"), { id: "g/out" }, env, POLICY);
        const first = out();
        await first.open(undefined);
        const committed = await first.deliver([slice("l", 0, [0, 1, 2])]);
        await first.deliver([slice("l", 3, [3, 4])]);
        await first.close();
        await publish(stream, ["another writer"], "out");
        await new Promise((resolve) => setTimeout(resolve, 250));
        const second = out();
        await second.open(committed);
        await second.deliver([slice("l", 3, [3]), slice("l", 4, [4, 5])]);
        await second.close();
        expect(await rowsOf(nc, stream)).toEqual([0, 1, 2, 3, 4, "another writer", 5]);
      });

      test("what is too large, or has no key, is the message's fault; a missing stream or bucket may still come", async () => {
        const stream = await newStream();
        const sink = natsSink(address(`/jetstream/${stream}.out`, "sink"), { id: "g/out" }, env, POLICY);
        await sink.open(undefined);
        const tooLarge = await sink.deliver([slice("l", 0, ["x".repeat(2_000_000)])]).catch(reportOf);
        expect(tooLarge).toMatchObject({ code: "NATS-TOO-LARGE", kind: "rejected" });
        await sink.close();
        const bucket = next("B");
        const kv = natsSink(address(`/kv/${bucket}`, "sink"), { id: "g/kv", key: "id" }, env, POLICY);
        expect(await kv.deliver([slice("l", 0, [{ id: "a" }])]).catch(reportOf)).toMatchObject({
          code: "SINK-FAILED",
          kind: "transient",
          message: expect.stringContaining(`there is no key-value bucket ${bucket}`),
        });
        await nc.jetstream().views.kv(bucket);
        for (const id of ["a b", "a..b", ".a", "a."])
          expect(await kv.deliver([slice("l", 0, [{ id }])]).catch(reportOf)).toMatchObject({ code: "NATS-KEY" });
        await kv.close();
        const nowhere = natsSink(address("/jetstream/nowhere.at.all", "sink"), { id: "g/x" }, env, POLICY);
        expect(await nowhere.deliver([slice("l", 0, [1])]).catch(reportOf)).toMatchObject({
          code: "SINK-FAILED",
          message: expect.stringContaining("no stream takes nowhere.at.all"),
        });
        await nowhere.close();
      });
    });
  }
});

const numbers = (from: number, n: number): number[] => Array.from({ length: n }, (_, i) => from + i);

function slice(lane: string, from: number, rows: readonly Json[]) {
  return { lane, input: 0, batch: new RowBatch(rows), positions: Positions.dense(from, rows.length), late: [] };
}

/** What a stream holds, in order. */
async function rowsOf(nc: NatsConnection, stream: string): Promise<readonly Json[]> {
  return (await messagesOf(nc, stream)).map((message) => message.json<Json>());
}

async function messagesOf(nc: NatsConnection, stream: string): Promise<readonly StoredMsg[]> {
  const jsm = await nc.jetstreamManager();
  const { state } = await jsm.streams.info(stream);
  const messages: StoredMsg[] = [];
  for (let sequence = Math.max(1, state.first_seq); sequence <= state.last_seq; sequence++) {
    // A bucket keeps the newest of a key only.
    const message = await jsm.streams.getMessage(stream, { seq: sequence }).catch(() => undefined);
    if (message !== undefined) messages.push(message);
  }
  return messages;
}
