/** Services over HTTP in graph files: called, refused, and waited for; their secrets seen by nobody else. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { lastJson, millrace } from "./millrace.ts";

const SECRET = "a-secret-of-the-graph";
let folder: string;
let server: Server;
let url: string;
let refusals = 0;

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
