/**
 * What calling a calculator costs, in comparisons of the same work in the same run. Needs the native addon, a C compiler, Python
 * and a JDK. CPU time, medians of the repeats:
 *
 * - `koffi`: a batch of 1 KB through the C ABI by the addon, and the same function of the same library called through koffi
 * - `koffiBuffers`: against koffi at its best: a function made for it, with buffers of the caller and no structures
 * - `pythonBatched`: a row of a Python calculator in batches of 64, and one at a time. CPU time of the host and of the Python
 *   process together; `pythonBatchedWall` is what a caller waits
 * - `pythonToNative`: a round trip to Python with one row, and a call of 1 KB through the C ABI: what a caller waits for each
 *
 * `us` has what a caller waits for one row, and for a row of a batch, from a calculator in each language and from a service. `claimed` holds
 * a single row of each, never a batch, against what the specification claims of another product.
 *
 * What bounds them is printed beside. A call by the addon crosses Node-API with numbers, since the bytes are in arrays that both
 * sides have; koffi is slow at structures and quick at bare buffers. A batched Python row costs what the SDK needs to read and
 * write it, `otherCpuNs` against `hostCpuNs`: here with the package `msgpack`; larger batches do not change it.
 */
import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { addonState } from "@millrace/native";
import { buildJava } from "../bin/java.mjs";
import { calculatorPython } from "../bin/python-clients.mjs";
import { openFile } from "../dist/calculator/open-file.js";
import { measure, median, ratio, table } from "./measure.mjs";

const BYTES = 1024;
const CALLS = 300_000;
const BATCH_ROWS = 64;
const ROWS = BATCH_ROWS * 64;

/** Microseconds of a call that are claimed; of the claimed range of a service the shortest. */
const CLAIMED_US = { "C ABI": 0.1, Python: 100, Java: 200, REST: 10_000 };

const NATIVE = "1 KB through the C ABI, addon";
const KOFFI = "1 KB through the C ABI, koffi";
const KOFFI_BUFFERS = "1 KB between buffers, koffi";

export async function main({ repeats = 9 } = {}) {
  const state = addonState();
  if (!state.inUse) throw new Error(`this bench needs the native addon: ${state.reason}`);
  const failed = calculatorPython.missing() === undefined ? undefined : calculatorPython.install();
  if (failed !== undefined) throw new Error(`this bench needs Python with msgpack: ${failed}`);
  const { lacks, failed: notBuilt } = buildJava();
  if (lacks ?? notBuilt) throw new Error(`this bench needs the Java SDK: ${lacks ?? notBuilt}`);
  process.env.PATH = `${calculatorPython.bin}${delimiter}${process.env.PATH}`;
  const dir = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  try {
    const calls = await measure(nativeVariants(compiled(dir)), { repeats });
    process.stderr.write(`${table("a calculator call", calls, KOFFI)}\n`);
    const python = await processFigures(repeats, "./calculator/score.py");
    const java = await processFigures(repeats, "./calculator/Score.java");
    const rest = await serviceFigures(repeats);
    const us = ({ singly, batched }) => ({ alone: inUs(singly.wallNs), batched: inUs(batched.wallNs) });
    const nativeWallNs = calls.get(NATIVE).wallNs;
    const callsUs = { "C ABI": inUs(nativeWallNs), Python: us(python), Java: us(java), REST: us(rest) };
    return {
      ratios: {
        koffi: ratio(calls, NATIVE, KOFFI),
        koffiBuffers: ratio(calls, NATIVE, KOFFI_BUFFERS),
        pythonBatched: over(python.singly.cpuNs, python.batched.cpuNs),
        pythonBatchedWall: over(python.singly.wallNs, python.batched.wallNs),
        pythonToNative: over(python.singly.wallNs, nativeWallNs),
      },
      ns: {
        ...Object.fromEntries([...calls].map(([name, { ns }]) => [name, Math.round(ns)])),
        "a Python row alone": python.singly,
        [`a Python row of ${BATCH_ROWS}`]: python.batched,
      },
      us: callsUs,
      claimed: claimsOf(callsUs),
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function claimsOf(callsUs) {
  const judged = Object.entries(CLAIMED_US).map(([kind, claimedUs]) => {
    const us = callsUs[kind].alone ?? callsUs[kind];
    return [kind, { claimedUs, us, verdict: us < claimedUs ? "faster" : "slower" }];
  });
  return Object.fromEntries(judged);
}

function compiled(dir) {
  const library = join(dir, "echo.so");
  const include = fileURLToPath(new URL("../../native/sdk/c", import.meta.url));
  const source = fileURLToPath(new URL("./calculator/echo.c", import.meta.url));
  execFileSync("cc", ["-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-I", include, "-o", library, source]);
  return library;
}

function nativeVariants(library) {
  const bytes = Buffer.alloc(BYTES, 7);
  const native = throughAddon(library);
  const koffi = throughKoffi(library);
  const calling = (call) => (n) => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += call(bytes)[BYTES - 1];
    if (sum !== 7 * n) throw new Error("a call did not give its bytes back");
  };
  return [
    { name: NATIVE, n: CALLS, run: calling(native) },
    { name: KOFFI, n: CALLS, run: calling(koffi.batch) },
    { name: KOFFI_BUFFERS, n: CALLS, run: calling(koffi.bytes) },
  ];
}

/** As `native/src/calculator/library-calculator.ts` calls it. */
function throughAddon(library) {
  const addon = createRequire(import.meta.url)(fileURLToPath(new URL("../../native/millrace.node", import.meta.url)));
  const shared = new Uint8Array(64 * 1024);
  const answer = new Uint8Array(64 * 1024);
  const calculator = new addon.NativeCalculator(library, Buffer.from([0xc0]), "bench", "echo", shared, answer);
  const { number } = calculator;
  return (bytes) => {
    shared.set(bytes);
    return answer.subarray(0, addon.calculatorBatch(number, bytes.length, 0));
  };
}

function throughKoffi(library) {
  const koffi = createRequire(new URL("./peers/koffi/", import.meta.url))("koffi");
  const lib = koffi.load(library);
  koffi.struct("ab_view", {
    struct_size: "uint32_t",
    format: "uint32_t",
    bytes: "const uint8_t *",
    length: "size_t",
    at_ms: "double",
  });
  koffi.struct("ab_out", { struct_size: "uint32_t", format: "uint32_t", bytes: "const uint8_t *", length: "size_t" });
  const open = lib.func("int32_t ab_open(const ab_view *config, void *host, _Out_ void **state)");
  const batch = lib.func("int32_t ab_batch(void *state, const ab_view *rows, _Inout_ ab_out *out)");
  const echo = lib.func("int32_t echo_bytes(void *state, const uint8_t *in, size_t length, _Out_ uint8_t *out)");
  const states = [null];
  if (open(null, null, states) !== 0) throw new Error("the library does not open");
  const [state] = states;
  const target = Buffer.alloc(BYTES);
  return {
    batch(bytes) {
      const out = { struct_size: 24, format: 0, bytes: null, length: 0 };
      const view = { struct_size: 32, format: 0, bytes, length: bytes.length, at_ms: 0 };
      if (batch(state, view, out) !== 0) throw new Error("the call failed");
      return new Uint8Array(koffi.view(out.bytes, Number(out.length)));
    },
    bytes(bytes) {
      if (echo(state, bytes, bytes.length, target) !== 0) throw new Error("the call failed");
      return target;
    },
  };
}

async function processFigures(repeats, name) {
  const file = fileURLToPath(new URL(name, import.meta.url));
  return rowFigures(repeats, await openFile(file, { deadlineMs: 10_000, memoryMib: 256 }));
}

async function serviceFigures(repeats) {
  const service = fork(fileURLToPath(new URL("./calculator/score-over-http.mjs", import.meta.url)), { execArgv: [] });
  try {
    const [address] = await once(service, "message");
    const rest = { batch: BATCH_ROWS, allow: ["127.0.0.0/8"] };
    return await rowFigures(repeats, await openFile(address, { rest, deadlineMs: 10_000, memoryMib: 256 }));
  } finally {
    service.kill();
  }
}

async function rowFigures(repeats, calculator) {
  try {
    const rows = Array.from({ length: BATCH_ROWS }, (_, i) => ({ flight: `UA${i}`, delay: i, origin: "ATL" }));
    const samples = { 1: [], [BATCH_ROWS]: [] };
    for (let r = 0; r < repeats + 2; r++) {
      for (const size of [1, BATCH_ROWS]) {
        const sample = await rowSample(calculator, rows.slice(0, size));
        // The first rounds warm both ends up.
        if (r >= 2) samples[size].push(sample);
      }
    }
    const medians = (of) =>
      Object.fromEntries(
        Object.keys(of[0]).map((figure) => [figure, Math.round(median(of.map((one) => one[figure])))]),
      );
    return { singly: medians(samples[1]), batched: medians(samples[BATCH_ROWS]) };
  } finally {
    await calculator.close();
  }
}

/** Nanoseconds of a row. The system counts a process's time in ticks of 10 ms, so there are many rows in a sample. */
async function rowSample(calculator, rows) {
  const context = { at: 0, graph: "bench", node: "score" };
  const total = rows.length === 1 ? ROWS : ROWS * 16;
  const child = calculator.usage()?.cpuMs ?? 0;
  const own = process.cpuUsage();
  const started = process.hrtime.bigint();
  for (let done = 0; done < total; done += rows.length) {
    const outcomes = await calculator.run(rows, context);
    if (outcomes.at(-1)?.out?.[0]?.score !== rows.at(-1).delay * 2) throw new Error("a row was not calculated");
  }
  const wallNs = Number(process.hrtime.bigint() - started) / total;
  const used = process.cpuUsage(own);
  const childMs = (calculator.usage()?.cpuMs ?? 0) - child;
  const hostCpuNs = ((used.user + used.system) * 1000) / total;
  const otherCpuNs = (childMs * 1e6) / total;
  return { wallNs, cpuNs: hostCpuNs + otherCpuNs, hostCpuNs, otherCpuNs };
}

const inUs = (ns) => Number((ns / 1000).toPrecision(3));

function over(a, b) {
  return Number((a / b).toPrecision(4));
}
