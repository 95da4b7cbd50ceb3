/** Large values in graphs: one copy in memory for all languages, found again after a kill, bytes for what is outside. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addonLacks } from "../bin/native.mjs";
import { millrace, root, start } from "./millrace.ts";

const skipPython = process.env.MILLRACE_SKIP_PYTHON !== undefined;
const skipJava = process.env.MILLRACE_SKIP_JAVA !== undefined;
const FRAME_BYTES = 2560 * 4096 + 128;
const isMapped = addonLacks() === undefined;

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "millrace-payloads-"));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Summary {
  readonly messagesOut: number;
  readonly deadLettered: number;
  readonly payloads: Readonly<Record<string, number>> & {
    readonly memory: string;
    readonly nodes: Readonly<Record<string, unknown>>;
  };
}

/** A folder with these files, and a place for its data. */
function graphOf(name: string, files: Readonly<Record<string, string>>): { file: string; data: string } {
  const dir = join(folder, name);
  mkdirSync(dir);
  for (const [path, text] of Object.entries(files)) writeFileSync(join(dir, path), text);
  return { file: join(dir, "graph.yaml"), data: join(dir, "data") };
}

async function run(file: string, data: string, ...options: readonly string[]): Promise<Summary> {
  const memory = ["--payloads", join(data, "..", "memory")];
  const args = ["run", file, "--until-done", "--json", "--data", data, ...memory, ...options];
  const { code, stdout, stderr } = await millrace(args);
  expect(`${code} ${stderr}`).toMatch(/^0 /);
  return JSON.parse(stdout.trim().split("\n").at(-1) as string) as Summary;
}

async function query(table: string, data: string): Promise<readonly Record<string, unknown>[]> {
  const { stdout } = await millrace(["projection", "query", table, "--data", data, "--limit", "100", "--json"]);
  return (JSON.parse(stdout) as { rows: Record<string, unknown>[] }).rows;
}

const objects = (data: string): number => {
  const shelves = join(data, "payloads", "objects");
  return readdirSync(shelves).reduce((n, shelf) => n + readdirSync(join(shelves, shelf)).length, 0);
};

const staged = (data: string): number => readdirSync(join(data, "payloads", "staged")).length;

const BLOCK = `export default ({ n }, context) => ({ n, block: context.payload(new Uint8Array(300_000).fill(n), "raw") });\n`;
const SUM = `export default async ({ n, block }, context) => {
  const { bytes, format } = await context.open(block);
  return { n, block, format, length: bytes.length, first: bytes[0], last: bytes.at(-1) };
};\n`;
const ROWS = [1, 2, 3, 4].map((n) => `${JSON.stringify({ n })}\n`).join("");

describe("payloads by reference", () => {
  it.skipIf(skipPython || skipJava || !isMapped)(
    "go from TypeScript through Python to Java without a copy",
    { timeout: 120_000 },
    async () => {
      const data = join(folder, "frames");
      const { payloads, messagesOut, deadLettered } = await run(join(root, "ops/examples/polyglot/frames.yaml"), data);
      expect([messagesOut, deadLettered]).toEqual([3, 0]);
      expect(payloads).toMatchObject({ memory: "mapped", puts: 3, putBytes: 3 * FRAME_BYTES, opens: 6, copies: 0 });
      expect(payloads).toMatchObject({ holds: 0, liveBytes: 0, evictions: 0, spills: 0 });
      expect(payloads.liveBytesMax).toBeGreaterThanOrEqual(FRAME_BYTES);
      expect(payloads.nodes).toMatchObject({
        "frames/frame": { inline: { payloads: 0 }, reference: { bytes: 3 * FRAME_BYTES } },
      });
      const rows = await query("frames", data);
      expect(rows.map(({ shot, mean, peak, bytes }) => [shot, mean, peak, bytes])).toEqual([
        [1, 10, 200, FRAME_BYTES],
        [2, 40, 250, FRAME_BYTES],
        [3, 90, 120, FRAME_BYTES],
      ]);
    },
  );

  it.skipIf(!isMapped)(
    "are opened in worker threads without a copy, and leave the host as bytes",
    { timeout: 60_000 },
    async () => {
      const { file, data } = graphOf("threads", {
        "rows.ndjson": ROWS,
        "block.mjs": BLOCK,
        "sum.mjs": SUM,
        "graph.yaml": `name: threads
nodes:
  rows:  { kind: source, from: "file:./rows.ndjson" }
  block: { kind: calculator, input: rows, use: ./block.mjs }
  sum:   { kind: calculator, input: block, use: ./sum.mjs }
  again: { kind: calculator, input: sum, use: ./sum.mjs }
  out:   { kind: sink, input: again, to: "file:out.ndjson" }
`,
      });
      const { payloads } = await run(file, data);
      expect(payloads).toMatchObject({ memory: "mapped", puts: 4, opens: 12, copies: 0, holds: 0, liveBytes: 0 });
      const lines = readFileSync(join(data, "out", "out.ndjson"), "utf8")
        .trim()
        .split("\n");
      for (const [i, line] of lines.entries()) {
        const row = JSON.parse(line) as { readonly block: { readonly $payload: { readonly base64: string } } };
        const bytes = Buffer.from(row.block.$payload.base64, "base64");
        expect(row).toMatchObject({ n: i + 1, format: "raw", length: 300_000, first: i + 1, last: i + 1 });
        expect([bytes.length, bytes[0], bytes.at(-1)]).toEqual([300_000, i + 1, i + 1]);
      }
      expect(lines).toHaveLength(4);
    },
  );

  it("work by copying where there is no addon, with little memory", { timeout: 60_000 }, async () => {
    const { file, data } = graphOf("copied", {
      "rows.ndjson": [1, 2, 3, 4, 5, 6].map((n) => `${JSON.stringify({ n })}\n`).join(""),
      "block.mjs": BLOCK,
      "sum.mjs": SUM,
      "graph.yaml": `name: copied
nodes:
  rows:  { kind: source, from: "file:./rows.ndjson" }
  block: { kind: calculator, input: rows, use: ./block.mjs }
  sum:   { kind: calculator, input: block, use: ./sum.mjs }
  table: { kind: sink, input: sum, to: "projection:sums", key: [n] }
`,
    });
    const memory = ["--payloads", join(data, "..", "memory"), "--payload-mib", "1"];
    const args = ["run", file, "--until-done", "--json", "--data", data, ...memory];
    const { stdout, stderr } = await millrace(args, { env: { MILLRACE_NATIVE: "off" } });
    expect(stderr).toBe("");
    const { payloads } = JSON.parse(stdout.trim().split("\n").at(-1) as string) as Summary;
    expect(payloads).toMatchObject({ memory: "copied", opens: 6, copies: 6, holds: 0, liveBytes: 0 });
    expect(payloads.evictions).toBeGreaterThan(0);
    const rows = await query("sums", data);
    expect(rows.map(({ n, first, last }) => [n, first, last])).toEqual([1, 2, 3, 4, 5, 6].map((n) => [n, n, n]));
  });

  it("are found again after a kill, none too many", { timeout: 120_000 }, async () => {
    const { file, data } = graphOf("killed", {
      "rows.ndjson": Array.from({ length: 60 }, (_, n) => `${JSON.stringify({ n })}\n`).join(""),
      "block.mjs": BLOCK,
      "held.mjs": `import { existsSync } from "node:fs";
const isHeld = () => !existsSync(new URL("./go", import.meta.url));
${SUM.replace("=> {", "=> {\n  while (n >= 8 && isHeld()) await new Promise((soon) => setTimeout(soon, 20));")}`,
      "graph.yaml": `name: killed
nodes:
  rows:  { kind: source, from: "file:./rows.ndjson", batch: 4 }
  block: { kind: calculator, input: rows, use: ./block.mjs }
  held:  { kind: calculator, input: block, use: ./held.mjs, deadline: 1h }
  table: { kind: sink, input: held, to: "projection:sums", key: [n] }
`,
    });
    const memory = ["--payloads", join(data, "..", "memory")];
    const first = start(["run", file, "--until-done", "--data", data, ...memory]);
    // Steps that name payloads are durable, and those that read them are not: now they must outlive the process.
    await expect.poll(() => existsSync(join(data, "payloads", "objects")) && objects(data) > 20).toBe(true);
    await expect.poll(() => staged(data)).toBe(0);
    first.child.kill("SIGKILL");
    await first.finished;
    writeFileSync(join(dirname(file), "go"), "");
    const { payloads, deadLettered } = await run(file, data);
    expect([deadLettered, payloads.holds, payloads.liveBytes]).toEqual([0, 0, 0]);
    expect(payloads.restores).toBeGreaterThan(0);
    const rows = await query("sums", data);
    expect(rows.map(({ n, first, last }) => [n, first, last])).toHaveLength(60);
    expect(rows.every(({ n, first, last }) => first === n && last === n)).toBe(true);
    expect(objects(data)).toBe(60);
    expect(staged(data)).toBe(0);
  });

  it("become dead letters with code and file when their bytes are gone, and inline where they are small", {
    timeout: 60_000,
  }, async () => {
    const missing = { $payload: { format: "raw", length: 9, sha256: "ab".repeat(32) } };
    const small = { $payload: { format: "raw", base64: Buffer.from([7, 8]).toString("base64") } };
    const rows = [
      { n: 1, block: missing },
      { n: 2, block: small },
      { n: 3, image: Buffer.alloc(9000, 3).toString("base64") },
      { n: 4, block: { bytes: 4 } },
    ];
    const { file, data } = graphOf("missing", {
      "rows.ndjson": rows.map((row) => `${JSON.stringify(row)}\n`).join(""),
      "sum.mjs": SUM.replace("context.open(block)", "context.open(block ?? image)").replace(
        "{ n, block }",
        "{ n, block, image }",
      ),
      "graph.yaml": `name: missing
payloads: { above: 8192 }
nodes:
  rows:  { kind: source, from: "file:./rows.ndjson", payload: { image: npy } }
  sum:   { kind: calculator, input: rows, use: ./sum.mjs }
  table: { kind: sink, input: sum, to: "projection:sums", key: [n] }
`,
    });
    const { deadLettered, payloads } = await run(file, data);
    expect(deadLettered).toBe(2);
    expect(payloads.nodes).toMatchObject({ "missing/rows": { reference: { payloads: 1, bytes: 9000 } } });
    const { stdout } = await millrace(["dlq", "ls", "--data", data, "--json"]);
    expect(stdout).toContain("PAYLOAD-MISSING");
    expect(stdout).toMatch(/PAYLOAD-VALUE.*the value that was to be opened is no payload/s);
    expect(stdout).toContain(`objects/ab/${"ab".repeat(32)}`);
    const sums = await query("sums", data);
    expect(sums.map(({ n, first, last, format }) => [n, first, last, format])).toEqual([
      [2, 7, 8, "raw"],
      [3, 3, 3, "npy"],
    ]);
  });
});
