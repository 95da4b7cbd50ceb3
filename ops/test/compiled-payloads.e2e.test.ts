/** Payloads of calculators behind the C ABI: opened in a process and in a thread, refused with a code where that cannot be. */
import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { limitMs } from "./faults/form.ts";
import { GraphFolder } from "./faults/graph-folder.ts";
import { lastJson, millrace, root } from "./millrace.ts";

const native = join(root, "native");
const TARGET = "wasm32-unknown-unknown";
const skip = process.env.MILLRACE_SKIP_RUST !== undefined || process.env.MILLRACE_SKIP_CXX !== undefined;
const skipWasm = process.env.MILLRACE_SKIP_WASM !== undefined;

/** What it makes of a block is a block again; it writes where it may not when it is told to. */
const OPENER = `#include <millrace_calculator.hpp>
#include <string>
class Opener : public millrace::Calculator {
 public:
  explicit Opener(millrace::Value) {}
  void calculate(millrace::Value row, const millrace::Context &context, millrace::Writer &out) override {
    const auto block = context.open(row["block"]);
    if (!row["act"].is_nil()) const_cast<uint8_t *>(block.bytes())[0] = 99;
    const std::string twice(block.size() * 2, static_cast<char>(block.bytes()[0]));
    out.list(1).map(4).text("n").value(row["n"]).text("length").integer(static_cast<int64_t>(block.size()));
    out.text("last").integer(block.bytes()[block.size() - 1]);
    out.text("made").payload(twice.data(), twice.size(), AB_PAYLOAD_ARROW);
  }
};
MILLRACE_CALCULATOR(Opener)
`;

const BLOCK = Buffer.alloc(40_000, 7);
const inline = { $payload: { format: "npy", base64: Buffer.from([1, 2, 3]).toString("base64") } };
const FORGED = "ab".repeat(32);
const forged = { $payload: { format: "raw", length: 40_000, sha256: FORGED } };
const ROWS = [
  { n: 1, image: BLOCK.toString("base64") },
  { n: 2, block: inline },
  { n: 3, block: forged },
  { n: 4, block: "no payload" },
  { n: 5, block: { $payload: { format: "raw", base64: "=" } } },
  { n: 6, image: BLOCK.toString("base64") },
  { n: 7, act: "writes", image: BLOCK.toString("base64") },
  { n: 8, image: BLOCK.toString("base64") },
];

const graph = (name: string, node: string, input: string): string => `name: ${name}
nodes:
  in:    { kind: source, from: "file:./${input}", payload: { image: raw } }
  named: { kind: map, input: in, set: { block: "has(event.image) ? event.image : event.block" } }
  calc:  { kind: calculator, input: named, ${node} }
  table: { kind: sink, input: calc, to: "projection:${name}", key: [n] }
`;

describe.skipIf(skip)("payloads of compiled calculators", () => {
  let folder: GraphFolder;

  beforeAll(() => {
    const careful = ROWS.filter(({ n }) => n !== 7);
    const lines = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
    folder = new GraphFolder({
      "all.ndjson": lines(ROWS),
      "careful.ndjson": lines(careful),
      "open.ndjson": lines([
        { n: 1, do: "open", payload: inline },
        { n: 2, do: "open", image: BLOCK.toString("base64") },
      ]),
      "opener.cpp": OPENER,
      "process.yaml": graph("process", "use: ./opener.so", "all.ndjson"),
      "thread.yaml": graph("thread", "use: ./opener.so, isolation: thread", "careful.ndjson"),
      "inline.yaml": graph("inline", "use: ./opener.so, pure: true, isolation: inline", "careful.ndjson"),
      "wasm.yaml": `name: wasm
nodes:
  in:    { kind: source, from: "file:./open.ndjson", payload: { image: raw } }
  named: { kind: map, input: in, set: { payload: "has(event.image) ? event.image : event.payload" } }
  calc:  { kind: calculator, input: named, use: ./counter.wasm, isolation: process, config: { base: 0 } }
  out:   { kind: sink, input: calc, to: "file:opened.ndjson" }
`,
    });
    const flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"];
    const paths = ["-I", join(native, "sdk", "c"), "-o", join(folder.path, "opener.so")];
    execFileSync("c++", [...flags, ...paths, join(folder.path, "opener.cpp")], { stdio: "pipe" });
    if (skipWasm) return;
    const args = ["build", "--release", "--locked", "--offline", "--package=counter-calculator", "--target", TARGET];
    const env = { ...process.env, CARGO_TARGET_DIR: join(native, "target") };
    execFileSync("cargo", args, { cwd: native, env, stdio: "pipe" });
    copyFileSync(
      join(native, "target", TARGET, "release", "counter_calculator.wasm"),
      join(folder.path, "counter.wasm"),
    );
  }, limitMs(60_000));
  afterAll(() => folder?.remove());

  interface Outcome {
    readonly payloads: {
      readonly opens: number;
      readonly copies: number;
      readonly puts: number;
      readonly holds: number;
    };
    readonly letters: readonly (readonly [number, string, string])[];
    readonly rows: readonly Readonly<Record<string, unknown>>[];
  }

  async function outcome(name: string): Promise<Outcome> {
    rmSync(folder.data, { recursive: true, force: true });
    const memory = ["--payloads", join(folder.path, "memory")];
    const args = ["run", join(folder.path, `${name}.yaml`), "--until-done", "--json", "--data", folder.data, ...memory];
    const { code, stdout, stderr } = await millrace(args);
    expect(`${code} ${stderr}`).toMatch(/^0 /);
    const { payloads } = lastJson(stdout) as Pick<Outcome, "payloads">;
    const dead = await folder.deadLetters();
    const letters = dead.map(({ input, error }) => [(input as { n: number }).n, error.code, error.message] as const);
    const query = await millrace(["projection", "query", name, "--data", folder.data, "--json"]);
    const rows = name === "wasm" ? [] : (lastJson(query.stdout) as Pick<Outcome, "rows">).rows;
    return { payloads, letters: letters.toSorted(([a], [b]) => a - b), rows };
  }

  const MADE = { $payload: { format: "arrow", length: 80_000, sha256: expect.any(String) } };
  const opened = (n: number): object => ({ n, length: 40_000, last: 7, made: MADE });
  const small = { n: 2, length: 3, last: 3, made: { $payload: { format: "arrow", base64: "AQEBAQEB" } } };
  const REFUSED = [
    [3, "PAYLOAD-MISSING", expect.stringContaining(FORGED)],
    [4, "PAYLOAD-VALUE", "the value that was to be opened is no payload"],
    [5, "PAYLOAD-VALUE", "the bytes of a payload are no base64"],
  ];

  it("are opened where they are and made in a process; whoever writes there harms nobody else", {
    timeout: 120_000,
  }, async () => {
    const { payloads, letters, rows } = await outcome("process");
    expect(rows).toMatchObject([opened(1), small, opened(6), opened(8)]);
    expect(letters).toEqual([...REFUSED, [7, "CALC-EXIT", expect.stringContaining("SIGSEGV")]]);
    expect(payloads).toMatchObject({ copies: 0, puts: 2, holds: 0 });
    expect(payloads.opens).toBeGreaterThanOrEqual(3);
  });

  it("are opened in a thread of the host", { timeout: 120_000 }, async () => {
    const { payloads, letters, rows } = await outcome("thread");
    expect(rows).toMatchObject([opened(1), small, opened(6), opened(8)]);
    expect(letters).toEqual(REFUSED);
    expect(payloads).toMatchObject({ opens: 3, copies: 0, puts: 2, holds: 0 });
  });

  it("are not opened inline, and say so; those in their row are", { timeout: 120_000 }, async () => {
    const { payloads, letters } = await outcome("inline");
    const unreachable = ["PAYLOAD-UNREACHABLE", expect.stringContaining("cannot be opened where this calculator runs")];
    expect(letters).toEqual([
      [1, ...unreachable],
      [2, "CALC-RESULT", expect.stringContaining("/0/made")],
      [3, ...unreachable],
      ...REFUSED.slice(1),
      [6, ...unreachable],
      [8, ...unreachable],
    ]);
    expect(payloads).toMatchObject({ opens: 0, copies: 0 });
  });

  it.skipIf(skipWasm)("are not opened by WebAssembly, which says so", { timeout: 120_000 }, async () => {
    const { letters } = await outcome("wasm");
    expect(letters).toEqual([[2, "PAYLOAD-UNREACHABLE", expect.stringContaining("WebAssembly")]]);
    const lines = readFileSync(join(folder.data, "out", "opened.ndjson"), "utf8")
      .trim()
      .split("\n");
    expect(lines.map((line): unknown => JSON.parse(line))).toEqual([{ format: "npy", length: 3, sum: 6 }]);
  });
});
