/** Kafka connectors against real brokers. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Json,
  type KafkaAddress,
  Positions,
  parseKafkaAddress,
  RowBatch,
  reportOf,
  type SourceBatch,
  type SourceConnector,
  systemEnv,
} from "@millrace/engine";
import { sinkContract, sourceContract } from "@millrace/engine/testing";
import { nativeZstd } from "@millrace/native";
import { kafkaSink, kafkaSource } from "@millrace/streams/kafka";
import { type CloudEvent, Kafka as CloudEvents, type KafkaMessage } from "cloudevents";
import { Partitioners } from "kafkajs";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { KafkaServer, kafkaKinds } from "../../services/kafka-server.ts";
import { isFull, times } from "../faults/form.ts";
import { EVENTS_LIMIT_MS, expectEvents } from "./broker-events.ts";
import { leaveForgotten } from "./kafka-forgotten.ts";
import { KafkaTopics } from "./kafka-topics.ts";

const env = systemEnv();
const POLICY = { backoffMs: 10, backoffMaxMs: 100, suspendMs: 200, probeEveryMs: 2000, probeTimeoutMs: 1000 };
/** The short form runs on the newest brokers; that of the transport on the oldest. */
const kinds = kafkaKinds().slice(isFull ? 0 : -1);
/** In a record batch, behind offset, length, epoch, magic and checksum. */
const ATTRIBUTES_AT = 21;
const USER = "millrace";
const PASSWORD = "se:cr/et";
const WAIT = { timeout: 15_000 };

describe.skipIf(kinds.length === 0)("Kafka", () => {
  for (const kind of kinds) {
    describe(kind.version, () => {
      let directory: string;
      let server: KafkaServer;
      let topics: KafkaTopics;

      beforeAll(async () => {
        directory = mkdtempSync(join(tmpdir(), "millrace-kafka-"));
        const keyStore = certify(directory);
        server = await KafkaServer.start(kind, { security: { keyStore, user: USER, password: PASSWORD } });
        topics = await KafkaTopics.connect(server.address);
      }, 60_000);
      afterAll(async () => {
        topics?.close();
        await server?.stop();
        rmSync(directory, { recursive: true, force: true });
      });

      const address = (path: string, side: "source" | "sink" = "source", at = server.address): KafkaAddress => {
        const parsed = parseKafkaAddress(`//${at}/${path}`, side);
        if ("fault" in parsed) throw new Error(parsed.fault);
        return parsed;
      };
      const source = (path: string, at = server.address): SourceConnector =>
        kafkaSource(address(path, "source", at), env, { policy: POLICY, pollMs: 20 });
      const breakConnections = (): void => server.wire.snap();
      const sink = (topic: string, id = "g/out", key?: string, at = server.address): ReturnType<typeof kafkaSink> =>
        kafkaSink(address(topic, "sink", at), { id, ...(key === undefined ? {} : { key }) }, env, POLICY);

      for (const ending of ["", "?until=now"]) {
        sourceContract(`a topic${ending === "" ? "" : " until now"}`, {
          positions: times(6, 20),
          async holding(rows) {
            const topic = await topics.make();
            await topics.publish(topic, rows);
            const connector = source(`${topic}${ending}`, server.wire.address);
            const add = async (more: readonly Json[]): Promise<void> => void (await topics.publish(topic, more));
            return { connector, add, breakConnections, close: async () => undefined };
          },
          async holdingBad(rows) {
            const topic = await topics.make();
            const bad = (i: number): { value: string | null }[] =>
              i % 10 === 5 ? [{ value: "{" }] : i % 10 === 7 ? [{ value: null }] : [];
            await topics.raw(
              topic,
              rows.flatMap((row, i) => [{ value: JSON.stringify(row) }, ...bad(i)]),
            );
            return { connector: source(`${topic}${ending}`), bad: 6, close: async () => undefined };
          },
          async missing() {
            return { connector: source(`none${ending}`), close: async () => undefined };
          },
        });
      }

      sinkContract(
        "a topic",
        async () => {
          const topic = await topics.make();
          const connect = () => sink(topic, "g/out", undefined, server.wire.address);
          return { connect, content: () => topics.rows(topic), breakConnections, close: async () => undefined };
        },
        { runs: times(5, 15) },
      );

      test(
        "events are in records and headers as the reference library has them, both ways",
        async () => {
          const names = [await topics.make(), await topics.make(), await topics.make(), await topics.make()];
          const places = names.map((name) => {
            const path = `kafka://${server.address}/${name}`;
            return { name, source: path, sink: path };
          });
          await expectEvents({
            places,
            typeHeader: "content-type",
            send: (topic, messages) =>
              topics.raw(
                topic,
                messages.map(({ body, headers }) => ({ value: body, headers: { ...headers } })),
              ),
            read: async (topic) =>
              (await topics.read(topic)).map(({ value, headers }) => ({
                body: value ?? "",
                headers: Object.fromEntries(Object.entries(headers).map(([name, said]) => [name, String(said)])),
              })),
            toBinary(event) {
              const { value, headers } = CloudEvents.binary(event) as KafkaMessage;
              const set = Object.entries(headers).filter(([, said]) => said !== undefined);
              return { body: JSON.stringify(value), headers: Object.fromEntries(set) as Record<string, string> };
            },
            ofBinary({ body, headers: { "millrace-id": _, ...headers } }) {
              const message = { headers, value: JSON.parse(body), body };
              return CloudEvents.toEvent<unknown>(message as never) as CloudEvent<unknown>;
            },
          });
        },
        EVENTS_LIMIT_MS,
      );

      test("keys, headers and tombstones are in the row where the address says so", async () => {
        const topic = await topics.make();
        await topics.raw(topic, [
          { key: "a", value: "1", headers: { from: "test", many: ["x", "y"] } },
          { key: Buffer.of(0xff), value: null },
        ]);
        const reader = await source(`${topic}?envelope=true`).open("0", -1);
        const read = (await reader.read(10)) as SourceBatch;
        const place = { topic, partition: 0, time: expect.stringMatching(/^20.*Z$/) };
        expect(read.batch.rows()).toEqual([
          { ...place, offset: 0, key: "a", headers: { from: "test", many: ["x", "y"] }, value: 1 },
          { ...place, offset: 1, key: { base64: "/w==" }, headers: {}, value: null },
        ]);
        await reader.close();
        const plain = await source(topic).open("0", -1);
        expect(await plain.read(10)).toMatchObject({
          rejected: [
            { pos: 1, error: { code: "MSG-DECODE", message: expect.stringContaining("tombstone") }, input: null },
          ],
        });
        await plain.close();
      });

      test("every partition is one of the source's, also before the topic exists if the address says how many", async () => {
        const topic = await topics.make(undefined, 3);
        for (const partition of [0, 1, 2]) await topics.publish(topic, [partition * 10, partition * 10 + 1], partition);
        const three = source(`${topic}?until=now`);
        expect(await three.partitions()).toEqual(["0", "1", "2"]);
        for (const partition of await three.partitions()) {
          const reader = await three.open(partition, -1);
          const read = (await reader.read(10)) as SourceBatch;
          expect(read.batch.rows()).toEqual([Number(partition) * 10, Number(partition) * 10 + 1]);
          expect(await reader.read(10)).toBe("end");
          await reader.close();
        }
        expect(await source("not-yet?partitions=2").partitions()).toEqual(["0", "1"]);
        const beyond = await three.open("3", -1);
        expect(await beyond.read(1).catch(reportOf)).toMatchObject({ code: "SOURCE-MISSING" });
        await beyond.close();
      });

      test("what retention removed unread is reported as an exact range, at opening and while it is read", async () => {
        const topic = await topics.make();
        await topics.publish(topic, numbers(0, 100));
        const running = await source(topic).open("0", -1);
        await running.read(10);
        await topics.cut(topic, 40);
        const stopped = await source(topic).open("0", 9);
        expect(await stopped.read(10).catch(reportOf)).toMatchObject({
          code: "SOURCE-GAP",
          kind: "terminal",
          details: { topic, partition: 0, from: 10, to: 39 },
        });
        await stopped.close();
        const recorded = await source(`${topic}?gap=record`).open("0", 9);
        const read = (await recorded.read(100)) as SourceBatch;
        expect(read.rejected).toMatchObject([{ pos: 39, input: { topic, partition: 0, from: 10, to: 39 } }]);
        const rest = read.batch.n > 0 ? read : ((await recorded.read(100)) as SourceBatch);
        expect(rest.batch.rows()).toEqual(numbers(40, 60));
        // All was fetched before it was cut; now it is behind the end of that.
        expect(((await running.read(200)) as SourceBatch).batch.rows()).toEqual(numbers(10, 90));
        await topics.publish(topic, numbers(100, 50));
        await topics.cut(topic, 130);
        const late = await source(topic).open("0", 99);
        expect(await late.read(10).catch(reportOf)).toMatchObject({
          code: "SOURCE-GAP",
          details: { from: 100, to: 129 },
        });
        for (const reader of [running, recorded, late]) await reader.close();
      });

      test("offsets of aborted records and of transactions' markers are holes, and what is open is waited for", async () => {
        const topic = await topics.make();
        const transactional = { transactionalId: `tx-${topic}`, idempotent: true, maxInFlightRequests: 1 };
        const producer = topics.kafka.producer({ ...transactional, createPartitioner: () => () => 0 });
        await producer.connect();
        const send = async (rows: readonly number[], ending: "commit" | "abort" | "open") => {
          const transaction = await producer.transaction();
          await transaction.send({ topic, messages: rows.map((row) => ({ value: String(row) })) });
          if (ending !== "open") await transaction[ending]();
          return transaction;
        };
        await send([1, 2], "commit");
        await send([3, 4], "abort");
        await topics.publish(topic, [5]);
        await send([6], "abort");
        const open = await send([7], "open");
        await topics.publish(topic, [8]);
        const reader = await source(topic).open("0", -1);
        const rows: Json[] = [];
        let through = -1;
        const take = async (): Promise<void> => {
          const read = await reader.read(100);
          if (typeof read === "string") return;
          rows.push(...read.batch.rows());
          through = read.through;
        };
        // 1 2 C 3 4 A 5 6 A | 7 8
        await vi.waitFor(async () => {
          await take();
          expect(through).toBe(8);
        }, WAIT);
        await take();
        expect([rows, through]).toEqual([[1, 2, 5], 8]);
        await open.commit();
        await vi.waitFor(async () => {
          await take();
          expect(through).toBeGreaterThanOrEqual(10);
        }, WAIT);
        expect(rows).toEqual([1, 2, 5, 7, 8]);
        const all = await source(`${topic}?read=uncommitted&until=now`).open("0", -1);
        expect(((await all.read(100)) as SourceBatch).batch.rows()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
        await reader.close();
        await all.close();
        await producer.disconnect();
      });

      test("what an earlier writer wrote, and its brokers forgot to end, is not committed with what comes after it", async () => {
        const topic = await topics.make();
        const [first, second] = [sink(topic), sink(topic)];
        await first.open(undefined);
        const committed = await first.deliver([slice("l", 0, [0])]);
        await first.close();
        await leaveForgotten(topics, Number(server.address.split(":")[1]), {
          transactionalId: "millrace/g/out",
          topic,
          value: "1",
          headers: { "millrace-id": `${encodeURIComponent("g/out")}/l/1/0` },
        });
        await second.open(committed);
        await second.deliver([slice("l", 1, [1, 2])]);
        expect(await topics.rows(topic)).toEqual([0, 1, 2]);
        await second.close();
      });

      test("a topic that was made anew has another identity, or is refused at once if it is shorter", async () => {
        const topic = await topics.make();
        await topics.publish(topic, numbers(0, 10));
        const before = await source(topic).open("0", -1);
        await before.read(100);
        const known = before.identity;
        await topics.admin.deleteTopics({ topics: [topic] });
        await topics.make(topic);
        await vi.waitFor(() => topics.publish(topic, numbers(0, 5)), WAIT);
        const shorter = await source(topic).open("0", 9);
        expect(await shorter.read(10).catch(reportOf)).toMatchObject({
          code: "SOURCE-RECREATED",
          details: { read: 9, last: 4 },
        });
        const other = await source(topic).open("0", 3);
        await other.read(10);
        expect(other.identity).not.toBe(known);
        expect(known).toContain(topic);
        // A reader that was open all the time notices before it hands anything out.
        await topics.publish(topic, numbers(0, 20));
        await vi.waitFor(async () => {
          expect(await before.read(10)).toBe("idle");
          expect(before.identity).toBe(other.identity);
        }, WAIT);
        for (const reader of [before, shorter, other]) await reader.close();
      });

      test("a group is told how far was read, and nothing is read from it", async () => {
        const topic = await topics.make();
        await topics.publish(topic, numbers(0, 7));
        for (const _again of [1, 2]) {
          const reader = await source(`${topic}?group=watch-${topic}`).open("0", -1);
          expect(((await reader.read(5)) as SourceBatch).batch.rows()).toEqual(numbers(0, 5));
          await reader.close();
        }
        const [told] = await topics.admin.fetchOffsets({ groupId: `watch-${topic}`, topics: [topic] });
        expect(told?.partitions).toMatchObject([{ partition: 0, offset: "5" }]);
      });

      test("a sink leaves out what a dead incarnation wrote, also cut otherwise and with other writers between", async () => {
        const topic = await topics.make();
        const first = sink(topic);
        await first.open(undefined);
        const committed = await first.deliver([slice("l", 0, [0, 1, 2])]);
        await first.deliver([slice("l", 3, [3, 4, 5])]);
        await first.close();
        await topics.publish(topic, ["another writer"]);
        const second = sink(topic);
        await second.open(committed);
        const part = await second.deliver([slice("l", 3, [3])]);
        await second.close();
        const third = sink(topic);
        await third.open(part);
        await third.deliver([slice("l", 4, [4]), slice("l", 5, [5, 6])]);
        await third.close();
        expect(await topics.rows(topic)).toEqual([0, 1, 2, 3, 4, 5, "another writer", 6]);
      });

      test("a sink is not held up, nor misled, by transactions of others", async () => {
        const topic = await topics.make();
        const producer = topics.kafka.producer({
          transactionalId: `open-${topic}`,
          idempotent: true,
          maxInFlightRequests: 1,
        });
        await producer.connect();
        const theirs = await producer.transaction();
        await theirs.send({ topic, messages: [{ value: '"theirs"' }] });
        const first = sink(topic);
        await first.open(undefined);
        await first.deliver([slice("l", 0, [0, 1])]);
        await first.close();
        const second = sink(topic);
        await second.open(undefined);
        await second.deliver([slice("l", 0, [0, 1, 2])]);
        await second.close();
        await theirs.abort();
        await producer.disconnect();
        expect(await topics.rows(topic)).toEqual([0, 1, 2]);
      });

      test("a newer incarnation shuts an older one out, in the middle of what it does", async () => {
        const topic = await topics.make();
        const [old, now] = [sink(topic), sink(topic)];
        await old.open(undefined);
        await old.deliver([slice("l", 0, [0])]);
        await now.open(undefined);
        await now.deliver([slice("l", 0, [0, 1])]);
        expect(await old.deliver([slice("l", 1, [1, 2])]).catch(reportOf)).toMatchObject({
          code: "KAFKA-FENCED",
          kind: "terminal",
        });
        await now.deliver([slice("l", 2, [2])]);
        expect(await topics.rows(topic)).toEqual([0, 1, 2]);
        await old.close();
        await now.close();
      });

      test("rows with one key lie in one partition, where Kafka's own partitioner puts them", async () => {
        const topic = await topics.make(undefined, 5);
        const keys = Array.from({ length: 50 }, (_, i) => `k${i}é`.slice(0, 1 + (i % 5)) + i);
        const reference = topics.kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
        await reference.connect();
        const messages = keys.map((key) => ({ key, value: JSON.stringify({ id: key, by: "reference" }) }));
        await reference.send({ topic, messages });
        await reference.disconnect();
        const keyed = sink(topic, "g/keyed", "id");
        await keyed.open(undefined);
        await keyed.deliver([
          slice(
            "l",
            0,
            keys.map((id) => ({ id })),
          ),
        ]);
        const places = new Map<string, Set<number>>();
        for (const { key, partition } of await topics.read(topic))
          places.set(key ?? "", (places.get(key ?? "") ?? new Set()).add(partition));
        expect([...places.keys()].sort()).toEqual([...keys].sort());
        expect([...places.values()].every(({ size }) => size === 1)).toBe(true);
        expect(await keyed.deliver([slice("l", 50, [{ no: 1 }])]).catch(reportOf)).toMatchObject({ code: "KAFKA-KEY" });
        await keyed.close();
      });

      test("what is too large is the message's fault, and leaves nothing behind; a missing topic may still come", async () => {
        const topic = await topics.make();
        const large = sink(topic);
        await large.open(undefined);
        const rows = [0, "x".repeat(2_000_000), 1];
        expect(await large.deliver([slice("l", 0, rows)]).catch(reportOf)).toMatchObject({
          code: "KAFKA-TOO-LARGE",
          kind: "rejected",
        });
        await large.deliver([slice("l", 0, [0]), slice("l", 2, [1])]);
        const many = Array.from({ length: 3000 }, (_, i) => `${i} ${"y".repeat(1000)}`);
        await large.deliver([slice("l", 3, many)]);
        expect(await topics.rows(topic)).toEqual([0, 1, ...many]);
        await large.close();
        const nowhere = sink("nowhere");
        expect(await nowhere.deliver([slice("l", 0, [1])]).catch(reportOf)).toMatchObject({
          code: "SINK-FAILED",
          kind: "transient",
          message: expect.stringContaining("there is no topic nowhere"),
        });
        await nowhere.close();
      });

      test.each(["plain", "scram-sha-256", "scram-sha-512"])(
        "comes in over TLS with a password by %s, and is refused with a wrong one",
        async (mechanism) => {
          const topic = await topics.make();
          const ca = readFileSync(join(directory, "ca.pem"), "utf8");
          const secure = (password: string, side: "source" | "sink"): KafkaAddress =>
            address(
              `${topic}?tls=true&ca=ca.pem&sasl=${mechanism}`,
              side,
              `${USER}:${encodeURIComponent(password)}@${server.secureAddress}`,
            );
          const target = kafkaSink(secure(PASSWORD, "sink"), { id: `g/${mechanism}`, ca }, env, POLICY);
          await target.open(undefined);
          await target.deliver([slice("l", 0, numbers(0, 3))]);
          await target.close();
          const open = (password: string): SourceConnector =>
            kafkaSource(secure(password, "source"), env, { policy: POLICY, pollMs: 20, ca });
          const reader = await open(PASSWORD).open("0", -1);
          expect(((await reader.read(5)) as SourceBatch).batch.rows()).toEqual(numbers(0, 3));
          await reader.close();
          const wrong = open("wrong");
          const refused = await wrong.open("0", -1);
          expect(await refused.read(5).catch(reportOf)).toMatchObject({
            code: "CONNECTION-FAILED",
            message: expect.stringMatching(/authentication/i),
          });
          expect(JSON.stringify(wrong.connection?.())).not.toContain("wrong");
          await refused.close();
        },
      );

      // Java's own codecs: the broker unpacks what is written, and packs it again as the topic says.
      const CODECS = ["gzip", "snappy", "lz4", "zstd"];
      const native = nativeZstd();
      const ways = [
        ...CODECS.map((codec) => [codec, "a package", undefined] as const),
        ...(native === undefined ? [] : [["zstd", "the addon", native] as const]),
      ];
      test.each(ways)(
        "what brokers compress by %s is read by %s, and they read what is written so",
        async (codec, _, zstd) => {
          const topic = await topics.make(undefined, 1, { "compression.type": codec });
          const other = await topics.make(undefined, 1, { "compression.type": codec === "gzip" ? "zstd" : "gzip" });
          const rows = [...numbers(0, 3), "é".repeat(200_000), ...numbers(3, 500), ""];
          await topics.publish(topic, rows);
          const read = async (name: string): Promise<readonly Json[]> => {
            const options = { policy: POLICY, pollMs: 20, zstd };
            const reader = await kafkaSource(address(`${name}?until=now`), env, options).open("0", -1);
            const found: Json[] = [];
            for (let next = await reader.read(1000); next !== "end"; next = await reader.read(1000))
              if (next !== "idle") found.push(...next.batch.rows());
            await reader.close();
            return found;
          };
          expect(await read(topic)).toEqual(rows);
          const packing = { id: `g/${codec}`, zstd };
          const writing = kafkaSink(address(`${other}?compression=${codec}`, "sink"), packing, env, POLICY);
          await writing.open(undefined);
          await writing.deliver([slice("l", 0, rows)]);
          await writing.close();
          expect(await read(other)).toEqual(rows);
          const same = await topics.make();
          const plain = kafkaSink(address(`${same}?compression=${codec}`, "sink"), packing, env, POLICY);
          await plain.open(undefined);
          await plain.deliver([slice("l", 0, rows)]);
          await plain.close();
          expect(await read(same)).toEqual(rows);
          // Of the first batch that the broker keeps, the attributes.
          expect(readFileSync(server.segmentOf(same)).readInt16BE(ATTRIBUTES_AT) & 7).toBe(1 + CODECS.indexOf(codec));
        },
      );
    });
  }
});

const numbers = (from: number, n: number): number[] => Array.from({ length: n }, (_, i) => from + i);

function slice(lane: string, from: number, rows: readonly Json[]) {
  return { lane, input: 0, batch: new RowBatch(rows), positions: Positions.dense(from, rows.length), late: [] };
}

/** A key and a certificate for 127.0.0.1, signed by itself; both in the file that is returned, the certificate also in `ca.pem`. */
function certify(directory: string): string {
  const at = (name: string): string => join(directory, name);
  const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const files = ["-keyout", at("key.pem"), "-out", at("ca.pem")];
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", ...subject, ...files], {
    stdio: "ignore",
  });
  writeFileSync(at("store.pem"), readFileSync(at("key.pem"), "utf8") + readFileSync(at("ca.pem"), "utf8"));
  return at("store.pem");
}
