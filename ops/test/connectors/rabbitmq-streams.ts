/** What a RabbitMQ stream does as a source, against a real broker that is killed at the end. */
import {
  type ErrorReport,
  type Json,
  parseRabbitmqAddress,
  reportOf,
  type SourceBatch,
  type SourceConnector,
  systemEnv,
} from "@millrace/engine";
import { sourceContract } from "@millrace/engine/testing";
import { rabbitmqSink, rabbitmqSource } from "@millrace/streams/rabbitmq";
import { type ConfirmChannel, connect } from "amqplib";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { RabbitServer } from "../../services/rabbitmq-server.ts";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { isFull, times } from "../faults/form.ts";
import { GraphFolder } from "../faults/graph-folder.ts";
import { start } from "../millrace.ts";
import type { PatientClient } from "./patient-rabbitmq-client.ts";
import { numbers, QUICK, RunningGraph, slice } from "./running-graph.ts";

const env = systemEnv();
const LIMIT_MS = 180_000;
const WAIT = { timeout: 60_000, interval: 20 };
const STREAM = { durable: true, arguments: { "x-queue-type": "stream" } };
/** Keeps one or two segments of about 200 messages. */
const SHORT = { ...STREAM.arguments, "x-max-length-bytes": 100_000, "x-stream-max-segment-size-bytes": 50_000 };

export function rabbitmqStreams(broker: () => RabbitServer, client: () => PatientClient): void {
  let channel: ConfirmChannel;
  let hangUp: () => Promise<void> = async () => undefined;
  let count = 0;

  const dial = async (): Promise<void> => {
    const model = await connect(`amqp://${broker().server.address}`);
    model.on("error", () => undefined);
    channel = await model.createConfirmChannel();
    channel.on("error", () => undefined);
    hangUp = () => model.close().catch(() => undefined);
  };
  beforeAll(dial, LIMIT_MS);
  afterAll(() => hangUp(), LIMIT_MS);

  const made = async (args: object = STREAM.arguments): Promise<string> => {
    const name = `stream/${++count}`;
    await channel.assertQueue(name, { durable: true, arguments: args });
    return name;
  };
  /** A broker that was started again takes and drops what is for a stream that it does not have yet. */
  const untilThere = (stream: string): Promise<void> =>
    vi.waitFor(async () => {
      await hangUp();
      await dial();
      await channel.checkQueue(stream);
    }, WAIT);
  const send = async (stream: string, bodies: readonly string[]): Promise<void> => {
    for (const body of bodies) channel.sendToQueue(stream, Buffer.from(body), { persistent: true });
    await channel.waitForConfirms();
  };
  const source = (stream: string, options = ""): SourceConnector => {
    const parsed = parseRabbitmqAddress(
      `//${broker().server.address}/stream/${encodeURIComponent(stream)}?probe=5s${options}`,
      "source",
    );
    if ("fault" in parsed) throw new Error(parsed.fault);
    return rabbitmqSource(parsed, env, { id: "g/in", policy: QUICK, pollMs: 100, shorterMs: 0 });
  };
  /** What a source says first, once it says anything that stays. */
  const first = async (from: SourceConnector, after: number): Promise<SourceBatch | "end" | ErrorReport> => {
    for (;;) {
      const reader = await from.open("0", after);
      let read: Awaited<ReturnType<typeof reader.read>> | ErrorReport = "idle";
      while (read === "idle") read = await reader.read(10).catch(reportOf);
      await reader.close();
      if (typeof read === "string" || !("kind" in read) || read.kind !== "transient") return read;
    }
  };
  const rowsOf = (read: unknown): readonly Json[] => (read as SourceBatch).batch.rows();

  for (const ending of ["", "&until=now"]) {
    sourceContract(`a stream of RabbitMQ${ending === "" ? "" : " until now"}`, {
      positions: times(6, 20),
      async holding(rows) {
        const stream = await made();
        await send(
          stream,
          rows.map((row) => JSON.stringify(row)),
        );
        return { connector: source(stream, ending), close: async () => void (await channel.deleteQueue(stream)) };
      },
      async holdingBad(rows) {
        const stream = await made();
        await send(
          stream,
          rows.flatMap((row, i) => (i % 10 === 3 ? ["{", JSON.stringify(row)] : [JSON.stringify(row)])),
        );
        const close = async (): Promise<void> => void (await channel.deleteQueue(stream));
        return { connector: source(stream, ending), bad: Math.ceil((rows.length - 3) / 10), close };
      },
      missing: async () => ({ connector: source("none", ending), close: async () => undefined }),
    });
  }

  test(
    "messages of a stream that retention removed unread are a gap with its offsets, which is passed where that was asked for",
    async () => {
      const stream = await made(SHORT);
      await send(stream, numbers(0, 50).map(String));
      const begun = (await first(source(stream), -1)) as SourceBatch;
      expect(begun.batch.rows()).toEqual(numbers(0, begun.batch.n));
      const { through } = begun;
      const pad = "x".repeat(200);
      let sent = 50;
      const kept = async (): Promise<number> => {
        const read = (await first(source(stream), -1)) as SourceBatch;
        return read.positions.pos(0);
      };
      do {
        await send(
          stream,
          numbers(sent, 300).map((n) => JSON.stringify({ n, pad })),
        );
        sent += 300;
      } while ((await kept()) <= through + 1);
      const gap = { code: "SOURCE-GAP", kind: "terminal" };
      const from = through + 1;
      // What was removed is so soon after it was sent, but not at once.
      let [to, seen] = [-1, -2];
      for (; to !== seen; to = (await kept()) - 1) seen = to;
      expect(await first(source(stream), through)).toMatchObject({ ...gap, details: { stream, from, to } });
      const passed = (await first(source(stream, "&gap=record"), through)) as SourceBatch;
      expect(passed.rejected).toEqual([{ pos: to, error: expect.objectContaining(gap), input: { stream, from, to } }]);
      expect(passed.positions.pos(0)).toBe(to + 1);
      // What is behind the gap goes on from any place, as if there had been none.
      const next = (await first(source(stream), passed.positions.pos(0))) as SourceBatch;
      expect(next.rejected).toEqual([]);
      expect(next.positions.pos(0)).toBeGreaterThan(passed.positions.pos(0));
      // With the message at the cursor gone, and none behind it.
      expect(((await first(source(stream), to)) as SourceBatch).rejected).toEqual([]);
    },
    LIMIT_MS,
  );

  test("a stream that ends before what was read of it, and a queue that is none, are refused", async () => {
    const stream = await made();
    await send(stream, numbers(0, 20).map(String));
    expect(await first(source(stream), 1000)).toMatchObject({
      code: "SOURCE-RECREATED",
      details: { read: 1000, last: 19 },
    });
    await channel.assertQueue("no-stream", { durable: true });
    await send("no-stream", ["1"]);
    expect(await first(source("no-stream"), -1)).toMatchObject({ code: "RABBITMQ-QUEUE", kind: "terminal" });
    expect(await channel.get("no-stream", { noAck: true })).toMatchObject({ content: Buffer.from("1") });
  });

  test("what a sink writes to a stream as a queue is read from it", async () => {
    const stream = await made();
    const parsed = parseRabbitmqAddress(`//${broker().server.address}/queue/${encodeURIComponent(stream)}`, "sink");
    if ("fault" in parsed) throw new Error(parsed.fault);
    const sink = rabbitmqSink(parsed, env, { id: "g/out", policy: QUICK });
    await sink.open(undefined);
    await sink.deliver([slice(0, [{ n: 1 }, { n: 2 }])]);
    await sink.close();
    const rows: Json[] = [];
    while (rows.length < 2) rows.push(...rowsOf(await first(source(stream), rows.length - 1)));
    expect(rows).toEqual([{ n: 1 }, { n: 2 }]);
  });

  test("a message of a stream comes with its headers where that was asked for", async () => {
    const stream = await made();
    channel.sendToQueue(stream, Buffer.from("7"), { messageId: "m", headers: { kind: "a" } });
    await channel.waitForConfirms();
    expect(rowsOf(await first(source(stream, "&envelope=true"), -1))).toEqual([
      {
        exchange: "",
        key: stream,
        id: "m",
        redelivered: false,
        contentType: null,
        priority: null,
        headers: { kind: "a", "x-stream-offset": 0 },
        data: 7,
      },
    ]);
  });

  test("a reader that hands on nothing holds no more than was asked for", async () => {
    const stream = await made();
    const pad = "x".repeat(20_000);
    await send(
      stream,
      numbers(0, 600).map((n) => JSON.stringify({ n, pad })),
    );
    const proxy = await TcpProxy.to(broker().server);
    const path = `//${proxy.address}/stream/${encodeURIComponent(stream)}?prefetch=10`;
    const parsed = parseRabbitmqAddress(path, "source");
    if ("fault" in parsed) throw new Error(parsed.fault);
    const reader = await rabbitmqSource(parsed, env, { id: "g/in", policy: QUICK }).open("0", -1);
    const rows: Json[] = [];
    for (let n = 0; n < 600; ) {
      const read = (await reader.read(1000)) as SourceBatch | "idle";
      if (read === "idle") continue;
      expect(read.batch.n).toBeLessThanOrEqual(10);
      rows.push(...read.batch.rows());
      n = rows.length;
    }
    expect(rows.map((row) => (row as { n: number }).n)).toEqual(numbers(0, 600));
    await reader.close();
    await proxy.close();
  });

  test(
    "a graph takes every message of a stream once while its link is cut and falls silent, and when the broker was killed",
    async () => {
      const stream = await made();
      await client().makeQueue("stream-out");
      await broker().control("eval", "mnesia:sync_log().");
      const proxy = await TcpProxy.to(broker().server);
      const running = await RunningGraph.start(`name: streamed
nodes:
  in:  { kind: source, from: "rabbitmq://${proxy.address}/stream/${encodeURIComponent(stream)}?prefetch=100" }
  out: { kind: sink, input: in, to: "rabbitmq://${broker().server.address}/queue/stream-out" }
`);
      const rounds = times(6, 18);
      const each = 1000;
      let [kills, cuts, silences] = [0, 0, 0];
      const rows: number[] = [];
      const marks = new Set<string>();
      const arrive = (total: number): Promise<void> =>
        vi.waitFor(async () => {
          for (const { id, data } of await client().drain("stream-out")) {
            rows.push(Number(data));
            marks.add(id);
          }
          expect(new Set(rows).size).toBeGreaterThanOrEqual(total);
        }, WAIT);
      try {
        for (let round = 0; round < rounds; round++) {
          await send(stream, numbers(round * each, each).map(String));
          await arrive((round + 0.2) * each);
          if (round % 6 === 3) {
            await broker().server.kill();
            kills++;
            await broker().server.start();
            await untilThere(stream);
          } else if (round % 6 === 1) {
            proxy.hold();
            silences++;
          } else {
            proxy.cut();
            proxy.mend();
            cuts++;
          }
        }
        await arrive(rounds * each);
        const total = rounds * each;
        const lost = total - new Set(rows).size;
        console.log(
          `rabbitmq ${broker().server.greeting}, stream: ${total} messages, ${cuts} cuts, ${silences} silences, ${kills} kill -9: ${lost} lost, ${marks.size - total + lost} taken twice`,
        );
        expect([...new Set(rows)].sort((a, b) => a - b)).toEqual(numbers(0, total));
        // The sink gives what it sends again the same id; another id means that the source gave a message twice.
        expect(marks.size).toBe(total);
      } finally {
        await running.stop();
        await proxy.close();
      }
    },
    LIMIT_MS,
  );

  test.runIf(isFull)(
    "a process that is killed while it reads a stream goes on where it was, and until now its run ends",
    async () => {
      const stream = await made();
      const total = 20_000;
      await send(stream, numbers(0, total).map(String));
      const folder = new GraphFolder({
        "graph.yaml": `name: killed
nodes:
  in:  { kind: source, from: "rabbitmq://${broker().server.address}/stream/${encodeURIComponent(stream)}?until=now", batch: 50 }
  out: { kind: sink, input: in, to: "file:./out.ndjson" }
`,
      });
      let kills = 0;
      try {
        for (; kills < times(1, 3); kills++) {
          const before = folder.lines("out.ndjson").length;
          const running = start(["run", "graph.yaml", "--json", "--port", "0", "--data", folder.data], {
            cwd: folder.path,
          });
          await vi.waitFor(() => expect(folder.lines("out.ndjson").length).toBeGreaterThan(before), WAIT);
          running.child.kill("SIGKILL");
          await running.finished;
        }
        await folder.finish();
        const came = folder.rows<number>("out.ndjson");
        const lost = total - new Set(came).size;
        console.log(
          `rabbitmq stream: ${total} messages, ${kills} kill -9 of millrace: ${lost} lost, ${came.length - total + lost} twice`,
        );
        expect(came).toEqual(numbers(0, total));
      } finally {
        folder.remove();
      }
    },
    LIMIT_MS,
  );
}
