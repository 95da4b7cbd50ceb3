/** Calculators behind the C ABI in graphs: in a process, inside of the host where the graph says so, and as WebAssembly. */
import { execFileSync } from "node:child_process";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import type { DeadLetter } from "@millrace/engine";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { limitMs } from "./faults/form.ts";
import { GraphFolder, type Server } from "./faults/graph-folder.ts";
import { root } from "./millrace.ts";

const TARGET = "wasm32-unknown-unknown";
const native = join(root, "native");
const skip = process.env.MILLRACE_SKIP_RUST !== undefined || process.env.MILLRACE_SKIP_CXX !== undefined;
const skipWasm = process.env.MILLRACE_SKIP_WASM !== undefined;

/** In a thread of the host, as WebAssembly runs by default. */
const SPIN = `use millrace_calculator::{Calculator, Context, Failure, Value, export};
struct Spin;
impl Calculator for Spin {
    fn new(_: &Value) -> Result<Self, Failure> {
        Ok(Self)
    }
    fn calculate(&mut self, row: &Value, _: &Context) -> Result<Value, Failure> {
        let n = row.get("n").as_i64().ok_or("no n")?;
        match n {
            2 => loop {
                std::hint::black_box(n);
            },
            3 => Ok((std::hint::black_box(vec![1_u8; 64 << 20]).len() as f64).into()),
            _ => Ok(n.into()),
        }
    }
}
export!(Spin);
`;
const MANIFEST = `[package]
name = "spin"
version = "0.1.0"
edition = "2024"
[lib]
crate-type = ["cdylib"]
path = "spin.rs"
[dependencies]
millrace-calculator = { path = ${JSON.stringify(join(native, "sdk", "rust"))} }
[workspace]
`;

/** A calculator without state, which does what its rows say. */
const SQUARE = `#include <millrace_calculator.hpp>
class Square : public millrace::Calculator {
 public:
  explicit Square(millrace::Value) {}
  void details(millrace::Writer &out) override { out.text("a square"); }
  void calculate(millrace::Value row, const millrace::Context &, millrace::Writer &out) override {
    out.list(1).integer(row["n"].integer() * row["n"].integer());
  }
};
MILLRACE_CALCULATOR(Square)
`;

const HOSTILE = `#include <millrace_calculator.hpp>
#include <cstdio>
#include <cstdlib>
#include <vector>
class Hostile : public millrace::Calculator {
 public:
  explicit Hostile(millrace::Value) {}
  void calculate(millrace::Value row, const millrace::Context &, millrace::Writer &out) override {
    const auto act = row["act"].text();
    if (act == "throws") throw std::runtime_error("out of order");
    if (act == "loops") for (volatile int i = 0;; i = i + 1) {}
    if (act == "aborts") std::abort();
    if (act == "segfaults") { int *volatile nowhere = nullptr; *nowhere = 1; }
    if (act == "exits") { std::fputs("farewell", stderr); std::exit(3); }
    if (act == "leaks") { std::vector<char *> all; for (;;) { all.push_back(new char[1 << 20]()); } }
    if (act == "floods") for (int i = 0; i < 20000; i++) std::printf("%0200d\\n", i);
    if (act == "rubbish") { out.raw().length = 0; ab_put_code(&out.raw(), 0xc1, 0, 0); return; }
    if (act == "bytes") { out.list(1); ab_put_bytes(&out.raw(), "x", 1); return; }
    out.list(1).value(row["n"]);
  }
};
MILLRACE_CALCULATOR(Hostile)
`;

const ACTS = ["throws", "loops", "aborts", "segfaults", "exits", "leaks", "floods", "rubbish", "bytes"] as const;
const FAILS = [
  ["throws", "CALC-THREW", /out of order/],
  ["loops", "CALC-TIMEOUT", /after \d+ ms/],
  ["aborts", "CALC-EXIT", /SIGABRT/],
  ["segfaults", "CALC-EXIT", /SIGSEGV/],
  ["exits", "CALC-EXIT", /exit code 3; its last words: .*farewell/s],
  ["leaks", "CALC-OOM", /memory/],
  ["rubbish", "CALC-RESULT", /not msgpack/],
  ["bytes", "CALC-RESULT", /bytes at \/0/],
] as const;

const graph = (name: string, node: string, input = "in.ndjson"): string => `name: ${name}
nodes:
  in:   { kind: source, from: "file:./${input}" }
  calc: { kind: calculator, input: in, ${node} }
  out:  { kind: sink, input: calc, to: "file:${name}.ndjson" }
`;

/** Only what never ends needs a deadline that a busy machine may miss. */
const graphOf = (act: (typeof ACTS)[number]): string => (act === "loops" ? "looping" : "hostile");
const rowsOf = (name: string) =>
  ACTS.flatMap((act, i) =>
    graphOf(act) === name
      ? [
          { n: 2 * i, act },
          { n: 2 * i + 1, act: "good" },
        ]
      : [],
  );

describe.skipIf(skip)("a compiled calculator", () => {
  let folder: GraphFolder;
  let server: Server;
  let letters: readonly DeadLetter[];

  const counterTo = (file: string, ...target: readonly string[]): void => {
    const args = ["build", "--release", "--locked", "--offline", "--package=counter-calculator", ...target];
    const env = { ...process.env, CARGO_TARGET_DIR: join(native, "target") };
    execFileSync("cargo", args, { cwd: native, env, stdio: "pipe" });
    const name = target.length === 0 ? "release/libcounter_calculator.so" : `${TARGET}/release/counter_calculator.wasm`;
    copyFileSync(join(native, "target", name), join(folder.path, file));
  };
  const compile = (name: string): void => {
    const flags = [
      "-std=c++17",
      "-O2",
      "-Wall",
      "-Wextra",
      "-Werror",
      "-shared",
      "-fPIC",
      "-I",
      join(native, "sdk", "c"),
    ];
    const source = join(folder.path, `${name}.cpp`);
    execFileSync("c++", [...flags, "-o", join(folder.path, `${name}.so`), source], { stdio: "pipe" });
  };

  beforeAll(async () => {
    const count = [{ do: "add", n: 1 }, { do: "fail" }, { do: "add", n: 2 }, { do: "many", n: 2 }];
    const linesOf = (rows: readonly object[]): string => rows.map((row) => JSON.stringify(row)).join("\n");
    const config = "config: { base: 10 }";
    const graphs = {
      counted: graph("counted", `use: ./counter.so, ${config}`, "count.ndjson"),
      inline: graph("inline", "use: ./square.so, pure: true, isolation: inline"),
      thread: graph("thread", "use: ./square.so, isolation: thread"),
      process: graph("process", "use: ./square.so"),
      hostile: graph("hostile", "use: ./hostile.so, deadline: 20s, limits: { memoryMib: 64 }", "acts.ndjson"),
      looping: graph("looping", "use: ./hostile.so, deadline: 600ms", "loops.ndjson"),
      ...(skipWasm
        ? {}
        : {
            spin: graph("spin", "use: ./spin.wasm, deadline: 400ms, limits: { memoryMib: 32 }", "turns.ndjson"),
            wasm: graph("wasm", `use: ./counter.wasm, isolation: process, ${config}`, "count.ndjson"),
          }),
    };
    folder = new GraphFolder({
      "in.ndjson": '{"n":1}\n{"n":2}\n{"n":3}\n',
      "count.ndjson": linesOf(count),
      "acts.ndjson": linesOf(rowsOf("hostile")),
      "loops.ndjson": linesOf(rowsOf("looping")),
      "turns.ndjson": '{"n":1}\n{"n":2}\n{"n":3}\n{"n":4}\n',
      "spin.rs": SPIN,
      "Cargo.toml": MANIFEST,
      "square.cpp": SQUARE,
      "hostile.cpp": HOSTILE,
      ...Object.fromEntries(Object.entries(graphs).map(([name, text]) => [`${name}.yaml`, text])),
    });
    compile("square");
    compile("hostile");
    counterTo("counter.so");
    if (!skipWasm) {
      counterTo("counter.wasm", "--target", TARGET);
      const args = ["build", "--release", "--offline", "--target", TARGET];
      execFileSync("cargo", args, {
        cwd: folder.path,
        env: { ...process.env, CARGO_TARGET_DIR: undefined },
        stdio: "pipe",
      });
      copyFileSync(join(folder.path, "target", TARGET, "release", "spin.wasm"), join(folder.path, "spin.wasm"));
    }
    server = await folder.serve(Object.keys(graphs).map((name) => `${name}.yaml`));
    for (const name of Object.keys(graphs)) await server.reaches(name, "finished");
    letters = await server.deadLetters();
  }, limitMs(150_000));
  afterAll(async () => {
    await server?.stop();
    folder?.remove();
  });

  const COUNTED = [{ total: 11 }, { total: 13 }, 0, 1];
  it("keeps state, of which a row that failed leaves no trace", () => {
    expect(folder.rows("counted.ndjson")).toEqual(COUNTED);
    const letter = letters.find(({ graph: name }) => name === "counted");
    expect(letter?.error).toMatchObject({ code: "CALC-THREW", message: "asked to fail" });
    expect(letter?.error.place).toMatchObject({ file: expect.stringContaining("lib.rs"), line: expect.any(Number) });
  });

  it.skipIf(skipWasm)("does the same as WebAssembly", () => {
    expect(folder.rows("wasm.ndjson")).toEqual(COUNTED);
    expect(letters.find(({ graph: name }) => name === "wasm")?.error).toMatchObject({
      code: "CALC-THREW",
      message: expect.stringContaining("asked to fail"),
    });
  });

  it.skipIf(skipWasm)(
    "as WebAssembly is stopped in its thread when it loops, and gets no more memory than it may have",
    () => {
      expect(folder.rows("spin.ndjson")).toEqual([1, 4]);
      const spun = letters.filter(({ graph: name }) => name === "spin");
      expect(spun.map(({ error, input }) => [(input as { n: number }).n, error.code])).toEqual([
        [2, "CALC-TIMEOUT"],
        [3, "CALC-THREW"],
      ]);
    },
  );

  const detailsOf = async (name: string): Promise<unknown> => {
    const { nodes } = await server.status(name);
    return nodes.find(({ node }) => node === "calc")?.details;
  };
  it.each(["process", "thread", "inline"])("runs where the graph says, and says what it is: %s", async (isolation) => {
    expect(folder.rows(`${isolation}.ndjson`)).toEqual([1, 4, 9]);
    expect(await detailsOf(isolation)).toMatchObject({ isolation, healthy: true, details: "a square" });
  });

  it.each(skipWasm ? ["counted"] : ["counted", "wasm"])("in Rust says what it is: %s", async (name) => {
    expect(await detailsOf(name)).toMatchObject({ details: { what: "a counter" } });
  });

  it.each(FAILS)("that %s gives a dead letter %s; its neighbours pass", (act, code, words) => {
    const n = 2 * ACTS.indexOf(act);
    const isOfIt = ({ graph: name, input }: DeadLetter): boolean =>
      name === graphOf(act) && (input as { n: number }).n === n;
    const letter = letters.find(isOfIt);
    expect(letter?.error.code).toContain(code);
    expect(letter?.error.message).toMatch(words);
    expect(folder.rows(`${graphOf(act)}.ndjson`)).toContain(n + 1);
  });

  it("that ends its process is tried again, and loses no row", () => {
    const hostile = letters.filter(({ graph: name }) => name === "hostile");
    expect(hostile.find(({ error }) => /SIGSEGV/.test(error.message))?.attempts).toBe(3);
    const passed = folder.rows<number>("hostile.ndjson");
    expect(passed.length + hostile.length).toBe(rowsOf("hostile").length);
    expect(passed).toEqual(passed.toSorted((a, b) => a - b));
  });
});

const REFUSED = [
  ["no.so", ", isolation: process", /CALC-LOAD .*no\.so/],
  ["no.so", ", pure: true", /GRAPH-SCHEMA .*inline only where the graph says so/],
  ["no.wasm", ", pure: true", /GRAPH-SCHEMA .*WebAssembly runs in a thread/],
  ["no.so", ", export: b", /GRAPH-SCHEMA .*holds one calculator/],
  ["no.wasm", "", /no\.wasm.* CALC-LOAD/],
] as const;

it.skipIf(skip).each(REFUSED)("%s%s is refused", async (file, options, message) => {
  const folder = new GraphFolder({
    [file]: "nonsense",
    "in.ndjson": "1\n",
    "graph.yaml": graph("g", `use: ./${file}${options}`),
  });
  try {
    const { code, stderr } = await folder.run();
    expect(stderr).toMatch(message);
    expect([1, 2]).toContain(code);
  } finally {
    folder.remove();
  }
});
