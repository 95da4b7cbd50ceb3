/** Connectors to S3 against a real service. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  type Json,
  type JsonObject,
  parseS3Address,
  reportOf,
  type S3Address,
  type SinkConnector,
  type SourceBatch,
  type SourceConnector,
  type SourceMark,
  systemEnv,
} from "@millrace/engine";
import { sinkContract, sourceContract } from "@millrace/engine/testing";
import { fileSource } from "@millrace/streams/file";
import { s3Sink, s3Source } from "@millrace/streams/s3";
import { Bool, Float64, Int32, Table, tableToIPC, Utf8, vectorFromArray } from "apache-arrow";
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { opensslMissing, selfSigned } from "../../services/certificate.ts";
import { HttpGate } from "../../services/http-gate.ts";
import { type S3Server, s3Missing, startS3 } from "../../services/s3-server.ts";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { times } from "../faults/form.ts";
import { QUICK, RunningGraph, slice, WAIT } from "./running-graph.ts";
import { S3Bucket, s3Address } from "./s3-bucket.ts";

const env = systemEnv();
const SKIPPED = s3Missing === undefined ? "" : ` (skipped: ${s3Missing})`;
const CONNECTIONLESS = "each request is by itself: nothing of a service that answers is lost";
const ndjson = (rows: readonly Json[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
const csv = (rows: readonly JsonObject[]): string =>
  `id,name,amount,ok\n${rows.map(({ id, name, amount, ok }) => `${id},"${String(name).replaceAll('"', '""')}",${amount ?? ""},${ok}\n`).join("")}`;

describe.skipIf(s3Missing)(`S3${SKIPPED}`, () => {
  let service: S3Server;
  let wire: TcpProxy;
  let bucket: S3Bucket;
  let count = 0;
  /** Keys that have to be encoded in every place where they stand. */
  const next = (): string => `préfix +&%/${++count}/`;

  beforeAll(async () => {
    service = await startS3();
    bucket = await S3Bucket.make(service, "objects");
    wire = await TcpProxy.to(service.server);
  }, 30_000);
  afterAll(async () => {
    await wire?.close();
    await service?.server.stop();
  });

  function address(prefix: string, side: "source" | "sink", options = "", at = bucket.name): S3Address {
    const path = prefix.split("/").map(encodeURIComponent).join("/");
    const parsed = parseS3Address(s3Address(at, path, `http://${wire.address}`, options), side);
    if ("fault" in parsed) throw new Error(parsed.fault);
    return parsed;
  }
  const source = (prefix: string, options = "&poll=20ms"): SourceConnector =>
    s3Source(address(prefix, "source", options), env, { policy: QUICK });
  const sink = (prefix: string, options = "&flush=1ms", id = "g/out"): SinkConnector =>
    s3Sink(address(prefix, "sink", options), { id, policy: QUICK }, env);
  const close = async (): Promise<void> => undefined;
  const breakConnections = (): void => wire.snap();

  /** Several objects, of which some are empty. */
  async function filled<R>(rows: readonly R[], extension: string, text: (rows: readonly R[]) => string | Uint8Array) {
    const prefix = next();
    await bucket.put(`${prefix}0/`, "");
    for (let at = 0; at < rows.length; at += 23)
      await bucket.put(`${prefix}${String(at).padStart(4, "0")} ü.${extension}`, text(rows.slice(at, at + 23)));
    return prefix;
  }

  for (const ending of ["&poll=20ms", "&until=now"]) {
    sourceContract(`objects of NDJSON (${ending})`, {
      positions: times(6, 20),
      holding: async (rows) => ({
        connector: source(await filled(rows, "ndjson", ndjson), ending),
        breakConnections,
        close,
      }),
      async holdingBad(rows) {
        const bad = (part: readonly JsonObject[]): string => `{\n${ndjson(part)}[1] 2\n`;
        const prefix = await filled(rows, "ndjson", bad);
        return { connector: source(prefix, ending), bad: 2 * Math.ceil(rows.length / 23), close };
      },
      missing: async () => ({
        connector: s3Source(address("x", "source", ending, "nowhere"), env, { policy: QUICK }),
        close,
      }),
      connectionless: CONNECTIONLESS,
    });
  }
  sourceContract("objects of CSV, named otherwise", {
    positions: times(6, 20),
    holding: async (rows) => ({ connector: source(await filled(rows, "log", csv), "&until=now&format=csv"), close }),
  });
  sourceContract("objects of JSON", {
    positions: times(6, 20),
    holding: async (rows) => ({
      connector: source(await filled(rows, "json", (part) => JSON.stringify(part)), "&until=now"),
      close,
    }),
  });
  sourceContract("objects of Arrow", {
    positions: times(6, 20),
    holding: async (rows) => ({
      connector: source(await filled(rows, "arrow", (part) => tableToIPC(tableOf(part), "file")), "&until=now"),
      close,
    }),
  });

  for (const [format, content] of [
    ["ndjson", (prefix: string) => bucket.rows(prefix)],
    ["csv", csvRows],
  ] as const)
    sinkContract(
      `objects of ${format}`,
      async () => {
        const prefix = next();
        return {
          connect: () => sink(prefix, `&flush=1ms&format=${format}`),
          content: async () => content(prefix),
          breakConnections,
          close,
        };
      },
      { runs: times(5, 15), connectionless: CONNECTIONLESS },
    );

  function csvRows(prefix: string): readonly Json[] {
    return bucket.keys(prefix).flatMap((key) => {
      const rows: Record<string, string>[] = parse(bucket.text(key), { columns: true });
      return rows.map(({ id, name = "", amount }): Json => ({ id: Number(id), name, amount: Number(amount) }));
    });
  }

  test("cells of CSV have between them, and are, what the graph says, where they are read and where they are written", async () => {
    const prefix = next();
    await bucket.put(`${prefix}in/a.csv`, "zip;note\n01234;a\tb\n94103;\n");
    const at = (side: string, options: string): string =>
      `s3:${s3Address(bucket.name, encodeURI(prefix + side), `http://${wire.address}`, options)}`;
    const graph = await RunningGraph.start(`name: cells
nodes:
  in:  { kind: source, from: "${at("in/", "&until=now&delimiter=;")}", types: { zip: text } }
  raw: { kind: sink, input: in, to: "${at("raw", "")}" }
  out: { kind: sink, input: in, to: "${at("out", "&format=csv&delimiter=%09")}" }
`);
    onTestFinished(() => graph.stop());
    const written = (): readonly string[] => bucket.keys(`${prefix}out/`).map((key) => bucket.text(key));
    await expect.poll(written, WAIT).toEqual(['zip\tnote\n01234\t"a\tb"\n94103\t\n']);
    const rows = [
      { zip: "01234", note: "a\tb" },
      { zip: "94103", note: null },
    ];
    await expect.poll(() => bucket.rows(`${prefix}raw/`), WAIT).toEqual(rows);
  });

  test("an object of Parquet is read as the file is, and on from a row in the middle", async () => {
    const path = join(dirname(createRequire(import.meta.url).resolve("vega-datasets")), "../data/flights-3m.parquet");
    const prefix = next();
    await bucket.put(`${prefix}flights.parquet`, readFileSync(path));
    const file = fileSource({ path }, env) as SourceConnector;
    let marks: readonly SourceMark[] = [];
    for (const after of [-1, 300_000]) {
      const ofObject = await firstOf(source(prefix, "&until=now"), after, 50, marks);
      const { rows, first } = await firstOf(file, after, 50);
      expect([ofObject.rows, ofObject.first, rows.length]).toEqual([rows, first, 50]);
      marks = ofObject.marks;
    }
  }, 30_000);

  test("new objects are read as they come, and where each began is handed out once", async () => {
    const prefix = next();
    await bucket.put(`${prefix}a.ndjson`, ndjson([{ id: 1 }, { id: 2 }]));
    const reader = await source(prefix).open("0", -1);
    const first = await batchOf(reader);
    expect(first.batch.rows()).toEqual([{ id: 1 }, { id: 2 }]);
    expect(first.marks).toEqual([{ from: 0, place: { key: `${prefix}a.ndjson`, etag: expect.any(String), size: 18 } }]);
    await bucket.put(`${prefix}b.ndjson`, ndjson([{ id: 3 }, { id: 4 }]));
    const second = await batchOf(reader, 1);
    expect([second.batch.rows(), second.marks?.map(({ from }) => from), second.positions.pos(0)]).toEqual([
      [{ id: 3 }],
      [18],
      26,
    ]);
    const third = await batchOf(reader);
    expect([third.batch.rows(), third.marks]).toEqual([[{ id: 4 }], []]);
    await reader.close();
  });

  test("an object that was replaced or removed before it was read to its end is told, and one that was read is not looked at", async () => {
    const [prefix, line] = [next(), { text: "x".repeat(1000) }];
    for (const name of ["a", "b"]) await bucket.put(`${prefix}${name}.ndjson`, ndjson([line, line]));
    const marks: SourceMark[] = [];
    const reader = await source(prefix).open("0", -1);
    for (let n = 0; n < 3; n++) marks.push(...((await batchOf(reader, 1)).marks ?? []));
    await reader.close();
    expect(marks.map(({ from }) => from)).toEqual([0, 2024]);
    await bucket.remove(`${prefix}a.ndjson`);
    await bucket.put(`${prefix}b.ndjson`, ndjson([{ other: true }, line]));
    const details = { key: `${prefix}b.ndjson`, bucket: "objects" };
    const code = { code: "S3-CHANGED", kind: "terminal", details: expect.objectContaining(details) };
    expect(await failureOf(prefix, 3035, marks.slice(1))).toMatchObject(code);
    expect(await failureOf(prefix, 0, marks)).toMatchObject({
      code: "S3-CHANGED",
      message: expect.stringContaining("a.ndjson of bucket objects was removed"),
    });
    // Nothing was sent of what comes behind the mark: it is read as it is now.
    const again = await source(prefix).open("0", 2023, marks.slice(0, 1));
    expect((await batchOf(again)).batch.row(0)).toEqual({ other: true });
    await again.close();
  });

  test("what no source can read, and credentials that are refused, say so without showing a secret", async () => {
    const prefix = next();
    await bucket.put(`${prefix}data.xyz`, "?");
    expect(await failureOf(prefix)).toMatchObject({ code: "S3-FORMAT", details: { key: `${prefix}data.xyz` } });
    const wrong = parseS3Address(`//millrace:not-it@objects/x?endpoint=http://${service.server.address}`, "source");
    if ("fault" in wrong) throw new Error(wrong.fault);
    const denied = s3Source(wrong, env, { policy: QUICK });
    const reader = await denied.open("0", -1);
    const report = await reader.read(1).catch(reportOf);
    await reader.close();
    expect(report).toMatchObject({ code: "S3-DENIED", kind: "transient", details: { status: 403 } });
    expect(JSON.stringify([report, denied.connection?.()])).not.toContain("not-it");
    const { credentials: _, ...unsigned } = wrong;
    const sinking = s3Sink({ ...unsigned, options: new Map() }, { id: "g/s", policy: QUICK }, env);
    await sinking.open(undefined);
    expect(await sinking.deliver([slice(0, [{}])]).catch(reportOf)).toMatchObject({ code: "S3-DENIED" });
    await sinking.close();
  });

  test("objects have a bounded size, large ones are written in parts, and an object is never written over", async () => {
    const prefix = next();
    const [small, large] = [
      sink(prefix, "&flush=1ms&size=4096"),
      sink(prefix, "&flush=1ms&size=1073741824", "g/large"),
    ];
    const rows = Array.from({ length: 5000 }, (_, id) => ({ id }));
    await small.open(undefined);
    await small.deliver([slice(0, rows)]);
    expect(bucket.rows(`${prefix}g/out`)).toEqual(rows);
    const sizes = bucket.keys(`${prefix}g/out`).map((key) => bucket.text(key).length);
    expect(Math.max(...sizes)).toBeLessThan(4096 + 512 * 12);
    const gate = await HttpGate.before(service.server);
    const through = s3Sink(
      { ...address(prefix, "sink", "&flush=1ms&size=1073741824"), endpoints: [gate.url] },
      { id: "g/large", policy: QUICK },
      env,
    );
    const much = Array.from({ length: 40 }, (_, id) => ({ id, text: "x".repeat(1_000_000) }));
    await through.open(undefined);
    // The last answer is lost, so it is not known whether the object is there.
    let isCut = false;
    gate.fault = (asked) => {
      if (isCut || !/^POST .*uploadId/.test(asked)) return undefined;
      isCut = true;
      return "cut-answer";
    };
    expect(await through.deliver([slice(0, much)]).catch(reportOf)).toMatchObject({ code: "SINK-FAILED" });
    const committed = await through.deliver([slice(0, much)]);
    expect([bucket.rows(`${prefix}g/large`).length, bucket.keys(`${prefix}g/large`).length]).toEqual([40, 1]);
    expect(gate.asked.filter((asked) => /^PUT .*partNumber/.test(asked)).length).toBe(3);
    await large.open(undefined);
    await large.deliver([slice(0, much), slice(40, [{ id: 40 }])]);
    expect(bucket.rows(`${prefix}g/large`).length).toBe(41);
    // What another incarnation wrote meanwhile is found when its number is refused.
    await through.deliver([slice(40, [{ id: 40 }, { id: 41 }])]).catch(() => undefined);
    await through.deliver([slice(40, [{ id: 40 }, { id: 41 }])]);
    expect(bucket.rows(`${prefix}g/large`).map((row) => (row as { id: number }).id)).toEqual(
      Array.from({ length: 42 }, (_, id) => id),
    );
    expect(committed).toMatchObject({ objects: 1 });
    for (const opened of [small, large, through]) await opened.close();
    await gate.close();
  }, 30_000);

  test("a foreign object under a sink's keys is not passed over, and a bucket that is not there is waited for", async () => {
    const prefix = next();
    const foreign = sink(prefix);
    await bucket.put(`${prefix}g/out/000000000007.ndjson`, "{}\n");
    await foreign.open(undefined);
    expect(await foreign.deliver([slice(0, [{}])]).catch(reportOf)).toMatchObject({
      code: "S3-FOREIGN",
      kind: "terminal",
      details: { key: `${prefix}g/out/000000000007.ndjson` },
    });
    await foreign.close();
    const nowhere = s3Sink(address(prefix, "sink", "&flush=1ms", "later"), { id: "g/s", policy: QUICK }, env);
    await nowhere.open(undefined);
    expect(await nowhere.deliver([slice(0, [{}])]).catch(reportOf)).toMatchObject({ code: "SINK-FAILED" });
    const later = await S3Bucket.make(service, "later");
    await nowhere.deliver([slice(0, [{ id: 0 }])]);
    expect(later.rows(prefix)).toEqual([{ id: 0 }]);
    await nowhere.close();
  });

  test("more objects than a page lists are read, and what is no listing or too large an object is told", async () => {
    const prefix = next();
    const keys = Array.from({ length: 25 }, (_, i) => `${prefix}${String(i).padStart(4, "0")}.ndjson`);
    for (const [id, key] of keys.entries()) await bucket.put(key, ndjson([{ id }]));
    const paged = s3Source(address(prefix, "source", "&until=now"), env, { policy: QUICK, pageObjects: 5 });
    const reader = await paged.open("0", -1);
    const ids: Json[] = [];
    for (let read = await reader.read(10); read !== "end"; read = await reader.read(10))
      if (read !== "idle") ids.push(...read.batch.rows().map((row) => (row as JsonObject).id ?? null));
    await reader.close();
    expect(ids).toEqual(keys.map((_, i) => i));
    const gate = await HttpGate.before(service.server);
    const gated = s3Source({ ...address("x", "source"), endpoints: [gate.url] }, env, { policy: QUICK });
    const failing = await gated.open("0", -1);
    const size = 2 ** 38;
    const listing = (xml: string) => (asked: string) =>
      asked.includes("list-type") ? { status: 200, body: xml } : undefined;
    gate.fault = listing("<html><p>hello</p></html>");
    expect(await failing.read(1).catch(reportOf)).toMatchObject({
      code: "SOURCE-FAILED",
      message: expect.stringContaining("no listing of objects"),
    });
    gate.fault = listing(
      `<R><IsTruncated>false</IsTruncated><Contents><Key>x/a.csv</Key><ETag>"1"</ETag><Size>${size}</Size></Contents></R>`,
    );
    expect(await failing.read(1).catch(reportOf)).toMatchObject({ code: "S3-SIZE", details: { key: "x/a.csv" } });
    await failing.close();
    await gate.close();
  }, 60_000);

  test.skipIf(opensslMissing)(
    "an encrypted service is used when its certificate is trusted, and only then",
    async () => {
      const directory = mkdtempSync(join(tmpdir(), "millrace-s3-tls-"));
      const certificate = selfSigned(directory);
      const { server, buckets } = await startS3(certificate);
      mkdirSync(join(buckets, "secure"));
      const endpoint = `https://localhost:${server.port}`;
      const at = { ...address("x", "sink", "&flush=1ms", "secure"), endpoints: [endpoint] };
      const ca = readFileSync(certificate.cert, "utf8");
      const [trusted, wary] = [{ ca }, {}].map((options) => s3Sink(at, { id: "g/s", policy: QUICK, ...options }, env));
      await wary?.open(undefined);
      expect(await wary?.deliver([slice(0, [{ id: 0 }])]).catch(reportOf)).toMatchObject({
        code: "CONNECTION-FAILED",
        message: expect.stringContaining("self-signed certificate"),
      });
      await trusted?.open(undefined);
      await trusted?.deliver([slice(0, [{ id: 0 }])]);
      expect(readFileSync(join(buckets, "secure/x/g/s/000000000000.ndjson"), "utf8")).toBe('{"id":0}\n');
      for (const sinking of [trusted, wary]) await sinking?.close();
      await server.stop();
      rmSync(directory, { recursive: true });
    },
  );

  test("many lanes of one delivery are spread over objects whose metadata hold their cursors", async () => {
    const prefix = next();
    const wide = sink(prefix);
    const slices = Array.from({ length: 200 }, (_, n) => ({ ...slice(n, [{ n }]), lane: `orders[${n}]>lárge` }));
    await wide.open(undefined);
    await wide.deliver(slices.slice(0, 150));
    await wide.close();
    const again = sink(prefix);
    await again.open(undefined);
    await again.deliver(slices);
    expect(bucket.rows(prefix).map((row) => (row as { n: number }).n)).toEqual(slices.map((_, n) => n));
    await again.close();
  });

  async function failureOf(prefix: string, after = -1, marks: readonly SourceMark[] = []): Promise<unknown> {
    const reader = await source(prefix).open("0", after, marks);
    const failure = await reader.read(10).catch(reportOf);
    await reader.close();
    return failure;
  }
});

type Reader = Awaited<ReturnType<SourceConnector["open"]>>;

async function batchOf(reader: Reader, messagesMax = 10): Promise<SourceBatch> {
  for (;;) {
    const read = await reader.read(messagesMax);
    if (read === "end") throw new Error("it has ended");
    if (read !== "idle") return read;
  }
}

async function firstOf(connector: SourceConnector, after: number, n: number, known: readonly SourceMark[] = []) {
  const reader = await connector.open("0", after, known);
  const { batch, positions, marks = [] } = await batchOf(reader, n);
  await reader.close();
  return { rows: batch.rows(), first: positions.pos(0), marks };
}

function tableOf(rows: readonly JsonObject[]): Table {
  return new Table({
    id: vectorFromArray(
      rows.map((row) => row.id as number),
      new Int32(),
    ),
    name: vectorFromArray(
      rows.map((row) => row.name as string),
      new Utf8(),
    ),
    amount: vectorFromArray(
      rows.map((row) => row.amount as number | null),
      new Float64(),
    ),
    ok: vectorFromArray(
      rows.map((row) => row.ok as boolean),
      new Bool(),
    ),
  });
}
