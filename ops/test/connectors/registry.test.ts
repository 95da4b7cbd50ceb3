/** Messages by the schemas of a real registry, over real brokers; Confluent's own Python client is the judge of both directions. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type ConnectionStatus,
  type DeadLettered,
  type Json,
  type NodeStatus,
  reportOf,
  systemEnv,
} from "@millrace/engine";
import { guardedHttpClient } from "@millrace/streams/http";
import {
  RegistryClient,
  type RegistryTarget,
  registryDecoder,
  registryEncoder,
  type SchemaDraft,
} from "@millrace/streams/registry";
import { connect } from "nats";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { kafkaClients } from "../../bin/python-clients.mjs";
import { type Certificate, opensslMissing, selfSigned } from "../../services/certificate.ts";
import { KafkaServer, kafkaKinds } from "../../services/kafka-server.ts";
import { natsServers, startNats } from "../../services/nats-server.ts";
import { RegistryGate } from "../../services/registry-gate.ts";
import { hasRegistry, startRegistry } from "../../services/registry-server.ts";
import type { ServerProcess } from "../../services/server-process.ts";
import { deadLettersOf } from "./dead-letters.ts";
import { KafkaTopics } from "./kafka-topics.ts";
import { RunningGraph, WAIT } from "./running-graph.ts";

const SCHEMAS = join(import.meta.dirname, "schemas");
const ALLOW = '["127.0.0.0/8", "::1/128"]';
const LIMIT_MS = 90_000;
const [kind] = kafkaKinds().slice(-1);
const [busKind] = natsServers().slice(-1);
const judgeMissing = process.env.MILLRACE_SKIP_KAFKA_PYTHON;

const AVRO: Json[] = [
  {
    id: "9223372036854775807",
    price: "-12345678901234567890.10",
    at: "2026-01-02T03:04:05.678901Z",
    day: "1969-12-31",
    state: "PAID",
    blob: "AP8=",
    how: { "shop.Card": { digits: "42" } },
    tags: { a: 1, é: -2 },
    lines: [
      { sku: "x", part: 0.1 },
      { sku: "", part: -1.5 },
    ],
  },
  {
    id: 1,
    price: "0.00",
    at: "1970-01-01T00:00:00.000000Z",
    day: "2026-01-02",
    state: "NEW",
    blob: null,
    how: { long: 7 },
    tags: {},
    lines: [],
  },
];
const PROTOBUF: Json[] = [
  {
    id: "18446744073709551615",
    at: "2026-01-02T03:04:05.678901Z",
    state: "PAID",
    blob: "AP8=",
    card: { digits: "42" },
    tags: { a: 1 },
    lines: [{ sku: "x", part: 0.1 }],
  },
  { id: 0, state: "NEW", tags: {}, lines: [] },
];
const JSON_ROWS: Json[] = [{ id: 5, state: "PAID" }, { id: 6 }];
const KINDS = ["avro", "protobuf", "json"] as const;

describe.skipIf(kind === undefined || busKind === undefined || !hasRegistry())("messages by a schema registry", () => {
  let directory: string;
  let registry: Awaited<ReturnType<typeof startRegistry>>;
  let server: KafkaServer;
  let bus: ServerProcess;
  let topics: KafkaTopics;
  let certificate: Certificate;
  let graph: RunningGraph | undefined;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "millrace-registry-"));
    if (opensslMissing === undefined) certificate = selfSigned(directory);
    [registry, server, bus] = await Promise.all([
      startRegistry(),
      KafkaServer.start(kind as NonNullable<typeof kind>),
      startNats(busKind as NonNullable<typeof busKind>),
    ]);
    topics = await KafkaTopics.connect(server.address);
  }, LIMIT_MS);
  afterAll(async () => {
    topics?.close();
    await Promise.all([registry?.stop(), server?.stop(), bus?.stop()]);
    rmSync(directory, { recursive: true, force: true });
  });

  const judge = (command: "read" | "write", prefix: string): string =>
    execFileSync(
      kafkaClients.python,
      [
        join(import.meta.dirname, "judges", "registry_judge.py"),
        command,
        registry.url,
        server.address,
        prefix,
        SCHEMAS,
      ],
      { encoding: "utf8", timeout: LIMIT_MS },
    );
  const started = async (text: string, run: (graph: RunningGraph) => Promise<void>, secrets = {}): Promise<void> => {
    graph = await RunningGraph.start(text, undefined, secrets);
    try {
      await run(graph);
    } finally {
      await graph.stop();
    }
  };
  const node = (name: string): NodeStatus => graph?.status().nodes.find((one) => one.node === name) as NodeStatus;
  const connection = (name: string): ConnectionStatus => node(name).connection as ConnectionStatus;
  const ask = async (path: string, body?: object): Promise<Readonly<Record<string, Json>>> => {
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    const answer = await fetch(registry.url + path, body === undefined ? {} : init);
    return (await answer.json()) as Readonly<Record<string, Json>>;
  };
  const deadLetters = (): Promise<readonly DeadLettered[]> => deadLettersOf((graph as RunningGraph).log);
  const schema = (name: string): string => readFileSync(join(SCHEMAS, name), "utf8");
  const framed = (id: number, hex: string): Buffer => {
    const bytes = Buffer.from(`00${"0".repeat(8)}${hex}`, "hex");
    bytes.writeInt32BE(id, 1);
    return bytes;
  };

  test.skipIf(judgeMissing)(
    "what Python's serializers write is read, and the same bytes over another broker",
    async () => {
      for (const name of KINDS) await topics.make(`py-${name}`);
      for (const name of KINDS) await topics.make(`py-${name}-out`);
      const written = JSON.parse(judge("write", "py")) as Record<string, readonly string[]>;
      const by = `registry: { url: "${registry.url}", allow: ${ALLOW} }`;
      const nodes = KINDS.map(
        (name) => `
  ${name}: { kind: source, from: "kafka://${server.address}/py-${name}", ${by} }
  ${name}-out: { kind: sink, input: ${name}, to: "kafka://${server.address}/py-${name}-out" }
  ${name}-nats: { kind: source, from: "nats://${bus.address}/core/${name}", ${by} }
  ${name}-too: { kind: sink, input: ${name}-nats, to: "nats://${bus.address}/core/${name}.out" }`,
      );
      const heard = new Map<string, Json[]>(KINDS.map((name) => [name, []]));
      const nc = await connect({ servers: bus.address });
      nc.subscribe("*.out", {
        callback: (_, message) => heard.get(message.subject.replace(".out", ""))?.push(message.json<Json>()),
      });
      await started(`name: read\nnodes:${nodes.join("")}`, async () => {
        const rows: Json[][] = [];
        for (const name of KINDS)
          await vi.waitFor(async () => {
            const found = await topics.rows(`py-${name}-out`);
            expect(found).toHaveLength(2);
            rows.push([...found]);
          }, WAIT);
        expect(rows).toEqual([AVRO, PROTOBUF, JSON_ROWS]);
        for (const name of KINDS) {
          await vi.waitFor(() => expect(connection(`${name}-nats`).state).toBe("up"), WAIT);
          for (const hex of written[name] ?? []) nc.publish(name, Buffer.from(hex, "hex"));
        }
        await vi.waitFor(() => expect([...heard.values()]).toEqual([AVRO, PROTOBUF, JSON_ROWS]), WAIT);
      });
      await nc.close();
    },
    LIMIT_MS,
  );

  test.skipIf(judgeMissing)(
    "what is written, Python's deserializers read; schemas are registered only where that is asked for",
    async () => {
      const given = { avro: AVRO, protobuf: PROTOBUF, json: JSON_ROWS };
      for (const name of KINDS) await topics.make(`mr-${name}`);
      for (const name of KINDS) await topics.publish(await topics.make(`mr-${name}-in`), given[name]);
      const settings = {
        avro: `schema: "${SCHEMAS}/order.avsc", register: true`,
        protobuf: `schema: "${SCHEMAS}/order.proto", record: shop.Order, subject: record`,
        json: "",
      };
      const nodes = KINDS.map(
        (name) => `
  ${name}: { kind: source, from: "kafka://${server.address}/mr-${name}-in" }
  ${name}-out: { kind: sink, input: ${name}, to: "kafka://${server.address}/mr-${name}", registry: { url: "${registry.url}", allow: ${ALLOW}, ${settings[name]} } }`,
      );
      await started(`name: write\nnodes:${nodes.join("")}`, async () => {
        await vi.waitFor(async () => expect(await topics.end("mr-avro")).toBeGreaterThanOrEqual(2), WAIT);
        for (const name of ["protobuf-out", "json-out"])
          await vi.waitFor(
            () =>
              expect(node(name)).toMatchObject({
                state: "waiting",
                reason: expect.stringMatching(/^REGISTRY-SUBJECT: subject \S+ (?:has no schema|does not have)/),
              }),
            WAIT,
          );
        await ask("/subjects/shop.Order/versions", { schemaType: "PROTOBUF", schema: schema("order.proto") });
        await ask("/subjects/mr-json-value/versions", { schemaType: "JSON", schema: schema("order.json") });
        // Both rows are committed when the sink has taken them: whoever reads may.
        for (const name of KINDS) await vi.waitFor(() => expect(node(`${name}-out`).messagesIn).toBe(2), WAIT);
      });
      const { avro, protobuf, json } = JSON.parse(judge("read", "mr")) as Record<string, Json[]>;
      const [first, second] = AVRO as [Record<string, Json>, Record<string, Json>];
      expect(avro).toEqual([
        // Python's integers, decimals and times as they print themselves.
        { ...first, id: 2 ** 63 - 1, at: "2026-01-02 03:04:05.678901+00:00", how: { digits: "42" } },
        { ...second, at: "1970-01-01 00:00:00+00:00", how: 7 },
      ]);
      expect(protobuf).toEqual([PROTOBUF[0], {}]);
      expect(json).toEqual(JSON_ROWS);
    },
    LIMIT_MS,
  );

  test(
    "messages that cannot be read are dead letters with code and place, rows that cannot be written with the field's path",
    async () => {
      const topic = await topics.make("bad");
      const out = await topics.make("bad-out");
      const { id } = await ask("/subjects/bad-value/versions", { schema: schema("order.avsc") });
      await ask("/subjects/bad-out-value/versions", { schemaType: "JSON", schema: schema("order.json") });
      const body = "0e02000000000000000000";
      const messages = [
        framed(Number(id), body),
        Buffer.from('{"id":1}'),
        framed(999_999, "00"),
        framed(Number(id), "0e0200"),
        framed(Number(id), `${body}00`),
        Buffer.from("00"),
        null,
        framed(Number(id), body.replace(/^0e/, "10")),
      ];
      await topics.raw(
        topic,
        messages.map((value) => ({ value: value as unknown as string })),
      );
      const text = `name: bad
nodes:
  in:   { kind: source, from: "kafka://${server.address}/${topic}", registry: { url: "${registry.url}", allow: ${ALLOW} } }
  some: { kind: map, input: in, set: { state: "event.id == 8 ? 'GONE' : event.state" }, select: [id, state] }
  out:  { kind: sink, input: some, to: "kafka://${server.address}/${out}", registry: { url: "${registry.url}", allow: ${ALLOW} } }`;
      await started(text, async () => {
        let letters: readonly DeadLettered[] = [];
        await vi.waitFor(async () => {
          letters = await deadLetters();
          expect(letters.length).toBeGreaterThanOrEqual(7);
        }, WAIT);
        const found = [...letters].sort((a, b) => a.pos - b.pos);
        expect(found.map(({ pos, error }) => [pos, error.code])).toEqual([
          [1, "REGISTRY-BYTES"],
          [2, "REGISTRY-UNKNOWN"],
          [3, "REGISTRY-BYTES"],
          [4, "REGISTRY-BYTES"],
          [5, "REGISTRY-BYTES"],
          [6, "MSG-DECODE"],
          [7, "REGISTRY-VALUE"],
        ]);
        expect(found[2]).toMatchObject({
          error: {
            message: expect.stringContaining(
              `record 3 of ${topic}/0: it does not fit schema ${id} at $.at: it ends early`,
            ),
            place: { stream: `${topic}/0`, position: 3 },
            details: { id, path: "$.at" },
          },
          input: { base64: framed(Number(id), "0e0200").toString("base64") },
        });
        expect(found[6]).toMatchObject({ node: "out", error: { details: { path: "$.state" } } });
        const [written] = await topics.read(out);
        expect(written?.value?.slice(5)).toBe('{"id":7,"state":"NEW"}');
      });
    },
    LIMIT_MS,
  );

  test("subjects are named by topic, record or both; schemas refer to others; an incompatible one is refused", async () => {
    const env = systemEnv();
    const http = () => guardedHttpClient({ allow: ["127.0.0.0/8"] }, env);
    const client = new RegistryClient({ urls: [registry.url], env, http });
    const encoding = async (target: Partial<RegistryTarget>): Promise<Uint8Array> => {
      const encode = await registryEncoder(client, {
        topic: "s",
        subject: "topic",
        register: true,
        ...target,
      }).prepared();
      return encode({ at: { lines: [{ n: 1 }] } }).body;
    };
    const avro = (name: string, type: Json, field = "at"): string =>
      JSON.stringify({ type: "record", name, fields: [{ name: field, type }] });
    await ask("/subjects/n/versions", { schema: avro("n.N", "int", "n") });
    const references = [{ name: "n.N", subject: "n", version: 1 }];
    await ask("/subjects/lines/versions", {
      schema: avro("l.L", { type: "array", items: "n.N" }, "lines"),
      references,
    });
    const draft: SchemaDraft = {
      type: "AVRO",
      schema: avro("s.S", "l.L"),
      references: [{ name: "l.L", subject: "lines", version: 1 }],
    };
    const written: Uint8Array[] = [];
    for (const subject of ["topic", "record", "topic-record"] as const)
      written.push(await encoding({ draft, subject }));
    const subjects = (await ask("/subjects")) as unknown as readonly string[];
    expect(subjects).toEqual(expect.arrayContaining(["s-value", "s.S", "s-s.S"]));
    // The newest of a subject, by name.
    written.push(await encoding({ subject: "record", record: "s.S", register: false }));
    const decode = await registryDecoder(client).prepared(written);
    expect(written.map(decode)).toEqual(written.map(() => ({ at: { lines: [{ n: 1 }] } })));
    await fetch(`${registry.url}/config/s-value`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: '{"compatibility":"BACKWARD"}',
    });
    const other: SchemaDraft = { type: "AVRO", schema: avro("s.S", "string", "other"), references: [] };
    expect(await encoding({ draft: other }).catch(reportOf)).toMatchObject({
      code: "REGISTRY-TARGET",
      kind: "terminal",
      message: expect.stringContaining("refuses the schema for s-value"),
    });
    const none: SchemaDraft = { ...draft, references: [{ name: "l.L", subject: "nowhere", version: 1 }] };
    expect(await encoding({ draft: none }).catch(reportOf)).toMatchObject({ code: "REGISTRY-TARGET" });
    await client.close();
  });

  test.skipIf(opensslMissing)(
    "a registry that is away is waited for, and says why; each schema is asked for once",
    async () => {
      const password = "pass:wörd";
      const basic = `Basic ${Buffer.from(`millrace:${password}`).toString("base64")}`;
      const gate = await RegistryGate.before(registry.url, [basic, "Bearer pass:word"], certificate);
      const topic = await topics.make("away");
      const out = await topics.make("away-out");
      const names = ["A", "B"].map((name) =>
        JSON.stringify({ type: "record", name, fields: [{ name: "n", type: "int" }] }),
      );
      const ids: number[] = [];
      for (const text of names)
        ids.push(Number((await ask(`/subjects/away-${ids.length}/versions`, { schema: text })).id));
      const publish = (id: number, from: number): Promise<void> =>
        topics.raw(
          topic,
          Array.from({ length: 50 }, (_, i) => ({
            value: framed(id, ((from + i) * 2).toString(16).padStart(2, "0")) as unknown as string,
          })),
        );
      const graphOf = (auth: string): string => `name: away
nodes:
  in:
    kind: source
    from: "kafka://${server.address}/${topic}"
    registry:
      url: "${gate.url}"
      auth: ${auth}
      ca: "${certificate.cert}"
      allow: ${ALLOW}
  out: { kind: sink, input: in, to: "kafka://${server.address}/${out}" }`;
      const text = graphOf(`{ type: basic, user: millrace, password: "\${env:REGISTRY}" }`);
      const byToken = graphOf(`{ type: bearer, token: "\${env:REGISTRY}" }`).replace("name: away", "name: token");
      const asked = (id: number): number => gate.passed.filter((one) => one === `GET /schemas/ids/${id}`).length;
      try {
        await publish(ids[0] as number, 0);
        await started(
          text,
          async () => {
            await vi.waitFor(() => expect(connection("in").reason).toContain("it answers 401 who are you"), WAIT);
            await vi.waitFor(() => expect(node("in").state).toBe("waiting"), WAIT);
            expect(JSON.stringify(graph?.status())).not.toContain("wrong");
          },
          { REGISTRY: "wrong" },
        );
        await started(
          text,
          async () => {
            await vi.waitFor(async () => expect(await topics.rows(out)).toHaveLength(50), WAIT);
            gate.isOpen = false;
            // What it knows it goes on with.
            await publish(ids[0] as number, 0);
            await vi.waitFor(async () => expect(await topics.rows(out)).toHaveLength(100), WAIT);
            await publish(ids[1] as number, 0);
            await vi.waitFor(
              () => expect(connection("in")).toMatchObject({ name: gate.url, state: "suspended" }),
              WAIT,
            );
            await vi.waitFor(() => expect(node("in").state).toBe("waiting"), WAIT);
            gate.isOpen = true;
            await vi.waitFor(async () => expect(await topics.rows(out)).toHaveLength(150), WAIT);
            expect(await deadLetters()).toEqual([]);
            expect(ids.map(asked)).toEqual([1, 1]);
          },
          { REGISTRY: password },
        );
        await started(
          byToken,
          async () => {
            await vi.waitFor(async () => expect(await topics.rows(out)).toHaveLength(300), WAIT);
          },
          { REGISTRY: "pass:word" },
        );
      } finally {
        await gate.close();
      }
    },
    LIMIT_MS,
  );
});
