/** Payloads that are larger than a NATS message, from one process to another over a real server, while both are killed. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { natsServers, startNats } from "../../services/nats-server.ts";
import type { ServerProcess } from "../../services/server-process.ts";
import { eventually, GraphFolder } from "../faults/graph-folder.ts";
import { type Running, start } from "../millrace.ts";

const [kind] = natsServers();
const ROWS = 30;
const MIB = 1024 * 1024;

const GRAPH = `name: pictures
nodes:
  in:   { kind: source, from: "file:./in.ndjson", batch: 2 }
  make: { kind: calculator, input: in, use: ./make.mjs }
  look: { kind: calculator, input: make, use: ./look.mjs }
  out:  { kind: sink, input: look, to: "file:out.ndjson" }
edges: { "make -> look": { via: nats } }
`;
const MAKE = `export default ({ n }, context) =>
  ({ n, picture: context.payload(new Uint8Array(${3 * MIB} + n).fill(n), "raw") });\n`;
const LOOK = `import { createHash } from "node:crypto";
export default async ({ n, picture }, context) => {
  const { bytes } = await context.open(picture);
  return { n, length: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
};\n`;

const expected = (n: number): string => {
  const bytes = Buffer.alloc(3 * MIB + n, n);
  return JSON.stringify({ n, length: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") });
};

describe.skipIf(kind === undefined)("payloads over NATS", () => {
  let server: ServerProcess;
  let folder: GraphFolder;
  beforeAll(async () => {
    if (kind !== undefined) server = await startNats(kind);
  });
  afterAll(() => server?.stop());
  afterEach(() => folder?.remove());

  test("come whole to a process that has none of them, however often either is killed", async () => {
    const rows = Array.from({ length: ROWS }, (_, n) => `${JSON.stringify({ n })}\n`).join("");
    folder = new GraphFolder({ "graph.yaml": GRAPH, "make.mjs": MAKE, "look.mjs": LOOK, "in.ndjson": rows });
    const begin = (data: string, nodes: string): Running =>
      start(
        [
          ...["run", "graph.yaml", "--until-done", "--json", "--data", join(folder.path, data)],
          ...["--edges", `nats://${server.address}/test`, "--nodes", nodes],
        ],
        { cwd: folder.path },
      );
    const first = (): Running => begin("a", "in,make");
    const second = (): Running => begin("b", "look,out");
    const out = join(folder.path, "b/out/out.ndjson");
    const written = (): string[] => (existsSync(out) ? readFileSync(out, "utf8").split("\n").filter(Boolean) : []);
    const reached = (count: number): Promise<void> =>
      eventually(async () => expect(written().length).toBeGreaterThan(count));
    let [a, b] = [first(), second()];
    await reached(ROWS / 10);
    b.child.kill("SIGKILL");
    await b.finished;
    b = second();
    await reached(ROWS / 3);
    a.child.kill("SIGKILL");
    await a.finished;
    a = first();
    const [endA, endB] = await Promise.all([a.finished, b.finished]);
    expect([endA.stderr, endA.code, endB.stderr, endB.code]).toEqual(["", 0, "", 0]);
    const lines = written();
    console.log(`${ROWS} payloads of 3 MiB over NATS, 2 processes killed: ${lines.length} rows`);
    expect(lines).toEqual(Array.from({ length: ROWS }, (_, n) => expected(n)));
  }, 180_000);
});
