/** The example of one array through four languages: written once, copied never, as counters and the kernel say. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { calculatorPython } from "../bin/python-clients.mjs";
import { lastJson, millrace, root } from "./millrace.ts";

const EXAMPLE = join(root, "ops", "examples", "payload-chain");
const SAMPLES = 1_250_000;
const BYTES = 128 + 8 * SAMPLES;
const lacking = ["PYTHON", "NUMPY", "JAVA", "RUST", "CXX"].filter(
  (name) => process.env[`MILLRACE_SKIP_${name}`] !== undefined,
);

interface Payloads {
  readonly memory: string;
  readonly puts: number;
  readonly putBytes: number;
  readonly archivedBytes: number;
  readonly opens: number;
  readonly copies: number;
  readonly copiedBytes: number;
  readonly restores: number;
  readonly spills: number;
  readonly liveBytesMax: number;
  readonly holds: number;
  readonly nodes: Readonly<Record<string, { readonly reference: { readonly bytes: number } }>>;
}
interface Row {
  readonly signal: { readonly $payload: { readonly sha256: string } };
  readonly [field: string]: unknown;
}

/** Whoever wrote the bytes again, or took a copy of them, by what the counters say. */
function copiersIn(payloads: Payloads): readonly string[] {
  const { memory, puts, putBytes, archivedBytes, copies, copiedBytes, restores, spills, nodes } = payloads;
  const writers = Object.keys(nodes).filter((node) => node !== "payload-chain/signal");
  const copied = { copies, copiedBytes, restores, spills };
  return [
    ...(memory === "mapped" ? [] : ["readers without a mapping"]),
    ...(puts === 1 && putBytes === BYTES && archivedBytes === BYTES ? [] : ["another write"]),
    ...Object.entries(copied).flatMap(([name, count]) => (count === 0 ? [] : [name])),
    ...writers,
  ];
}

/** What the example gives, by another way: whole numbers of any size. */
function expected(seed: bigint): Record<string, number> {
  const signal: number[] = [];
  for (let state = seed, i = 0; i < SAMPLES; i++) {
    state = (state * 1664525n + 1013904223n) & 0xffff_ffffn;
    signal.push(Number(state >> 16n) - 32768);
  }
  const mean = Number(signal.reduce((sum, n) => sum + BigInt(n), 0n)) / SAMPLES;
  const energy = Number(signal.reduce((sum, n) => sum + BigInt(n * n), 0n));
  const signs = signal.map((n) => (n < mean ? "-" : "+")).join("");
  const crossings = signs.split("-+").length + signs.split("+-").length - 2;
  const peak = signal.reduce((highest, n) => Math.max(highest, Math.abs(n)), 0);
  return { samples: SAMPLES, mean, energy, crossings, peak, crest: peak / Math.sqrt(energy / SAMPLES) };
}

/** The file and the place in it that an address is mapped from, as `/proc/self/maps` says. */
const PYTHON_PROBE = `import numpy

def place_of(address):
    for line in open("/proc/self/maps"):
        fields = line.split()
        start, end = (int(part, 16) for part in fields[0].split("-"))
        if start <= address < end and len(fields) > 5:
            return {"file": fields[5], "at": int(fields[2], 16) + address - start}

def calculate(row, context):
    samples = numpy.frombuffer(context.open(row["signal"]).bytes, dtype="<f8", offset=128)
    return {**row, "mean": float(samples.mean()), "numpy": place_of(samples.ctypes.data)}
`;
const NATIVE_PROBE = `#include <millrace_calculator.hpp>
#include <cstdio>
#include <cstring>
class Energy : public millrace::Calculator {
 public:
  explicit Energy(millrace::Value) {}
  void calculate(millrace::Value row, const millrace::Context &context, millrace::Writer &out) override {
    const auto payload = context.open(row["signal"]);
    const auto samples = payload.array<double>("<f8");
    double energy = 0;
    for (size_t i = 0; i < samples.size; i++) energy += samples.data[i] * samples.data[i];
    out.list(1).map(row.size() + 2).fields(row).text("energy").number(energy).text("native");
    const auto address = reinterpret_cast<unsigned long>(samples.data);
    unsigned long start, end, offset;
    char line[4096], file[4096];
    FILE *maps = std::fopen("/proc/self/maps", "r");
    while (std::fgets(line, sizeof line, maps))
      if (std::sscanf(line, "%lx-%lx %*s %lx %*s %*s %4095s", &start, &end, &offset, file) == 4 && start <= address && address < end)
        out.map(2).text("file").text(file).text("at").integer(static_cast<int64_t>(offset + address - start));
    std::fclose(maps);
  }
};
MILLRACE_CALCULATOR(Energy)
`;
/** Java 17 tells nobody an address: that a direct buffer is there, and a mapping of the same place. */
const JAVA_PROBE = `import dev.millrace.calculator.Calculator;
import dev.millrace.calculator.Context;
import java.nio.MappedByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
public class Crest extends Calculator<Map<String, Object>> {
  public Object calculate(Map<String, Object> row, Context context) throws Exception {
    var bytes = context.open(row.get("signal")).bytes();
    Map<?, ?> place = (Map<?, ?>) row.get("native");
    long at = ((Number) place.get("at")).longValue();
    boolean isMapped = false;
    for (String line : Files.readAllLines(Path.of("/proc/self/maps"))) {
      String[] fields = line.split("\\\\s+");
      if (fields.length < 6 || !fields[5].equals(place.get("file"))) continue;
      String[] range = fields[0].split("-");
      long length = Long.parseLong(range[1], 16) - Long.parseLong(range[0], 16), from = Long.parseLong(fields[2], 16);
      isMapped |= from <= at && at - 128 + bytes.limit() <= from + length;
    }
    Map<String, Object> probed = new LinkedHashMap<>(row);
    probed.put("java", bytes.isDirect() && bytes instanceof MappedByteBuffer && isMapped);
    return probed;
  }
}
`;

const PYTHON_COPIER = `def calculate(row, context):
    return {**row, "mean": 0, "signal": context.payload(bytes(context.open(row["signal"]).bytes), "npy")}
`;
const NATIVE_COPIER = `#include <millrace_calculator.hpp>
class Energy : public millrace::Calculator {
 public:
  explicit Energy(millrace::Value) {}
  void calculate(millrace::Value row, const millrace::Context &context, millrace::Writer &out) override {
    const auto payload = context.open(row["signal"]);
    out.list(1).map(3).text("id").value(row["id"]).text("energy").number(1).text("signal");
    out.payload(payload.bytes(), payload.size(), payload.format());
  }
};
MILLRACE_CALCULATOR(Energy)
`;
const JAVA_COPIER = `import dev.millrace.calculator.Calculator;
import dev.millrace.calculator.Context;
import java.util.Map;
public class Crest extends Calculator<Map<String, Object>> {
  public Object calculate(Map<String, Object> row, Context context) throws Exception {
    var bytes = context.open(row.get("signal")).bytes();
    byte[] copy = new byte[bytes.limit()];
    bytes.get(copy);
    return Map.of("id", row.get("id"), "signal", context.payload(copy, "npy"));
  }
}
`;

describe.skipIf(lacking.length > 0)("an array through four languages", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "millrace-chain-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const PATH = `${calculatorPython.bin}${delimiter}${process.env.PATH}`;
  const argsOf = (graph: string, data: string): readonly string[] => {
    const memory = ["--payloads", join(data, "..", "memory")];
    return ["run", graph, "--until-done", "--data", data, ...memory];
  };

  async function run(graph: string, data: string, env: NodeJS.ProcessEnv = {}): Promise<Payloads> {
    const { code, stdout, stderr } = await millrace([...argsOf(graph, data), "--json"], { env: { PATH, ...env } });
    expect(`${code} ${stderr}`).toMatch(/^0 /);
    const summary = lastJson(stdout) as { readonly payloads: Payloads };
    expect(summary).toMatchObject({ messagesIn: 1, messagesOut: 1, deadLettered: 0 });
    return summary.payloads;
  }

  async function rowOf(data: string): Promise<Row> {
    const { stdout } = await millrace(["projection", "query", "signals", "--data", data, "--json"]);
    return (lastJson(stdout) as { readonly rows: readonly Row[] }).rows[0] as Row;
  }

  /** The example with other code in its nodes. */
  function variant(name: string, python: string, native: string, java: string): { graph: string; data: string } {
    const directory = join(folder, name);
    cpSync(EXAMPLE, directory, { recursive: true });
    writeFileSync(join(directory, "mean.py"), python);
    writeFileSync(join(directory, "Crest.java"), java);
    writeFileSync(join(directory, "energy.cpp"), native);
    const flags = ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"];
    const include = join(root, "native", "sdk", "c");
    const paths = ["-I", include, "-o", join(directory, "energy.so"), join(directory, "energy.cpp")];
    execFileSync("c++", [...flags, ...paths], { stdio: "pipe" });
    return { graph: join(directory, "graph.yaml"), data: join(directory, "data") };
  }

  it("is written once, copied never, and gives what it should", { timeout: 120_000 }, async () => {
    const data = join(folder, "example", "data");
    const payloads = await run(join(EXAMPLE, "graph.yaml"), data);
    expect(copiersIn(payloads)).toEqual([]);
    expect(payloads).toMatchObject({ opens: 3, liveBytesMax: BYTES, holds: 0 });
    expect(payloads.nodes).toMatchObject({ "payload-chain/signal": { reference: { payloads: 1, bytes: BYTES } } });
    const { signal, ...row } = await rowOf(data);
    expect(row).toMatchObject(expected(20260417n));
    const { sha256 } = signal.$payload;
    const archived = readFileSync(join(data, "payloads", "objects", sha256.slice(0, 2), sha256));
    expect([archived.length, createHash("sha256").update(archived).digest("hex")]).toEqual([BYTES, sha256]);
  });

  it("is the same place of one file to every reader", { timeout: 120_000 }, async () => {
    const { graph, data } = variant("probed", PYTHON_PROBE, NATIVE_PROBE, JAVA_PROBE);
    const { stdout } = await millrace(argsOf(graph, data), { env: { PATH } });
    expect(stdout).toContain("payloads (mapped): 1 put, 9.5 MiB; 3 opened, 0 by copying; at most 9.5 MiB in memory");
    const row = await rowOf(data);
    expect(row.numpy).toEqual({ file: expect.stringMatching(/memory\/.*env-\d+\.mdb$/), at: expect.any(Number) });
    expect([row.native, row.java]).toEqual([row.numpy, true]);
  });

  it("shows whoever hands on a copy", { timeout: 120_000 }, async () => {
    const { graph, data } = variant("copied", PYTHON_COPIER, NATIVE_COPIER, JAVA_COPIER);
    const copiers = ["payload-chain/mean", "payload-chain/energy", "payload-chain/crest"];
    expect(copiersIn(await run(graph, data))).toEqual(copiers);
    const unmapped = await run(graph, join(folder, "unmapped", "data"), { MILLRACE_NATIVE: "off" });
    expect(copiersIn(unmapped)).toEqual(["readers without a mapping", ...copiers]);
  });
});
