/** Services over HTTP in graph files: called, refused, and waited for; their secrets seen by nobody else. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DeadLetter } from "@millrace/engine";
import { afterAll, beforeAll, expect, it } from "vitest";
import { lastJson, millrace } from "./millrace.ts";

const SECRET = "a-secret-of-the-graph";
let folder: string;
let server: Server;
let url: string;
let refusals = 0;

interface BlockRow {
  readonly n: number;
  readonly block: { readonly $payload: { readonly format: string; readonly base64?: string } };
}
/** Bytes of payloads in each request. */
const received: number[] = [];

/** Sums bytes, and makes twice as many; of row 6 it claims to know where they are. */
function sums(rows: readonly BlockRow[]): readonly unknown[] {
  const blocks = rows.map(({ block }) => Buffer.from(block.$payload.base64 ?? "", "base64"));
  received.push(blocks.reduce((sum, { length }) => sum + length, 0));
  return rows.map(({ n }, i) => {
    const block = blocks[i] as Buffer;
    const made =
      n === 6
        ? { format: "raw", length: 1, sha256: "ab".repeat(32) }
        : { format: "arrow", base64: Buffer.concat([block, block]).toString("base64") };
    return { n, length: block.length, sum: block.reduce((sum, byte) => sum + byte, 0), made: { $payload: made } };
  });
}

/** Triples `n`; knows nobody without the token; is down for the first two requests below `/slow-start`. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "millrace-rest-"));
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => {
      body += part;
    });
    request.on("end", () => {
      response.setHeader("content-type", "application/json");
      if (request.url === "/sums") return void response.end(JSON.stringify(sums(JSON.parse(body) as BlockRow[])));
      if (request.headers.authorization !== `Bearer ${SECRET}`)
        return void response.writeHead(401).end(JSON.stringify(request.headers.authorization ?? null));
      if (request.method === "GET") return void response.end('{"model":"triple"}');
      if (request.url === "/slow-start" && refusals++ < 2) return void response.writeHead(503).end();
      const rows = JSON.parse(body) as { n: number }[];
      if (rows.some(({ n }) => n === 3))
        return void response.writeHead(422).end(`no 3 for ${request.headers.authorization}`);
      response.end(JSON.stringify(rows.map(({ n }) => (n === 4 ? null : { n, tripled: 3 * n }))));
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  writeFileSync(join(folder, "in.ndjson"), [1, 2, 3, 4, 5].map((n) => `{"n":${n}}\n`).join(""));
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const REST = { batch: 64, allow: ["127.0.0.0/8"], details: "/about" };
const auth = (reference: string) => ({ type: "bearer", token: reference });

function graph(name: string, use: string, rest: object): string {
  const file = join(folder, `${name}.json`);
  const scored = { kind: "calculator", input: "rows", use, rest };
  const rows = { kind: "source", from: "file:./in.ndjson" };
  const table = { kind: "sink", input: "scored", to: `projection:${name}`, key: ["n"] };
  writeFileSync(file, JSON.stringify({ name, nodes: { rows, scored, table } }));
  return file;
}

it("a service calculates a graph's messages, also when it is down at first; nothing holds its secret", async () => {
  const file = graph("tripled", `${url}/slow-start`, { ...REST, auth: auth(`\${env:TRIPLE_TOKEN}`) });
  const data = join(folder, "data");
  const env = { TRIPLE_TOKEN: SECRET };
  const run = await millrace(["run", file, "--until-done", "--json", "--data", data], { env });
  expect(lastJson(run.stdout)).toMatchObject({ messagesOut: 3, deadLettered: 1 });
  expect(refusals).toBeGreaterThan(2);
  const table = await millrace(["projection", "query", "tripled", "--data", data, "--json"]);
  const rows = (lastJson(table.stdout) as { rows: { n: number; tripled: number }[] }).rows;
  expect(rows.map(({ n, tripled }) => [n, tripled])).toEqual([
    [1, 3],
    [2, 6],
    [5, 15],
  ]);
  const dead = await millrace(["dlq", "ls", "--data", data, "--json"]);
  expect(dead.stdout).toContain("CALC-REFUSED");
  expect(dead.stdout).toContain("no 3 for Bearer ***");
  const holders = execFileSync("sh", ["-c", `grep -rlaF "$0" "$1" || true`, SECRET, data]).toString();
  expect([holders, [run, table, dead].some(({ stdout, stderr }) => (stdout + stderr).includes(SECRET))]).toEqual([
    "",
    false,
  ]);
});

it("vectors hold a service to what is expected of it, with the settings of a node", async () => {
  const vectors = join(folder, "vectors.json");
  const cases = [
    { name: "triples", given: [{ n: 2 }, { n: 3 }], expect: [{ n: 2, tripled: 6 }, { error: "CALC-REFUSED" }] },
    { name: "does more", given: [{ n: 2 }], expect: [{ n: 7 }] },
  ];
  const rest = { ...REST, auth: auth(`\${env:TRIPLE_TOKEN}`) };
  const test = async (settings: object) => {
    writeFileSync(vectors, JSON.stringify({ rest: settings, cases }));
    const args = ["calculator", "test", `${url}/score`, "--vectors", vectors, "--json"];
    return millrace(args, { env: { TRIPLE_TOKEN: SECRET } });
  };
  const tested = await test(rest);
  expect([tested.code, lastJson(tested.stdout)]).toMatchObject([1, { passed: 1, failed: 1 }]);
  const wrong = await test({ ...REST, auth: auth("written down") });
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining("a secret is never written into a graph")]);
});

it("a service on this machine is not called unless the graph says so", async () => {
  const { allow: _, ...guarded } = REST;
  const file = join(folder, "guarded.json");
  writeFileSync(
    file,
    JSON.stringify({ rest: { ...guarded, attempts: 1 }, cases: [{ given: [{ n: 1 }], expect: [] }] }),
  );
  const { code, stderr } = await millrace(["calculator", "test", `${url}/score`, "--vectors", file]);
  expect([code, stderr]).toEqual([1, expect.stringContaining("127.0.0.1, which may not be called")]);
});

it("payloads go to a service as base64 within a bound, and come back as references", async () => {
  const block = (length: number, byte: number): string => Buffer.alloc(length, byte).toString("base64");
  const forged = { $payload: { format: "raw", length: 40_000, sha256: "cd".repeat(32) } };
  const blocks = [
    ...[1, 2, 3].map((n) => ({ n, image: block(40_000, n) })),
    { n: 4, image: block(150_000, 4) },
    { n: 5, block: forged },
    { n: 6, image: block(10, 6) },
    { n: 7, block: { $payload: { format: "npy", base64: block(3, 7) } } },
  ];
  writeFileSync(join(folder, "blocks.ndjson"), blocks.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const rows = { kind: "source", from: "file:./blocks.ndjson", payload: { image: "raw" } };
  const named = { kind: "map", input: "rows", set: { block: "has(event.image) ? event.image : event.block" } };
  const rest = { batch: 64, payloadBytes: 100_000, connections: 1, allow: ["127.0.0.0/8"] };
  const summed = { kind: "calculator", input: "named", use: `${url}/sums`, rest };
  const table = { kind: "sink", input: "summed", to: "projection:sums", key: ["n"] };
  const file = join(folder, "sums.json");
  writeFileSync(file, JSON.stringify({ name: "sums", nodes: { rows, named, summed, table } }));
  const data = join(folder, "sums");
  const memory = ["--payloads", join(folder, "memory")];
  const run = await millrace(["run", file, "--until-done", "--json", "--data", data, ...memory]);
  expect([run.code, run.stderr]).toEqual([0, ""]);
  expect(lastJson(run.stdout)).toMatchObject({
    messagesOut: 4,
    deadLettered: 3,
    payloads: { holds: 0, nodes: { "sums/summed": { reference: { payloads: 3, bytes: 240_000 } } } },
  });
  expect(received).toEqual([80_000, 40_000, 13]);
  const query = await millrace(["projection", "query", "sums", "--data", data, "--json"]);
  const reference = { $payload: { format: "arrow", length: 80_000, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) } };
  expect((lastJson(query.stdout) as { rows: unknown[] }).rows).toMatchObject([
    ...[1, 2, 3].map((n) => ({ n, length: 40_000, sum: 40_000 * n, made: reference })),
    { n: 7, length: 3, sum: 21, made: { $payload: { format: "arrow", base64: block(6, 7) } } },
  ]);
  const dead = await millrace(["dlq", "ls", "--data", data, "--json"]);
  const letters = (lastJson(dead.stdout) as { readonly rows: readonly DeadLetter[] }).rows;
  expect(letters.map(({ error }) => `${error.code} ${error.message}`).sort()).toEqual([
    expect.stringMatching(/^PAYLOAD-MISSING payload cdcd/),
    "PAYLOAD-TOO-LARGE a payload of 150000 bytes leaves the host where at most 100000 may",
    "PAYLOAD-VALUE the service named a payload by reference: it gives payloads as base64",
  ]);
}, 120_000);
