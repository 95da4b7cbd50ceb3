/**
 * A lease that is taken away while compiled code of this process reads the payload. Nothing does that to a pinned payload, which is
 * what such code gets (P-R8); here it is forced in the store's own files, and the room is given to other payloads under the reader's
 * eyes. What it made of their bytes must not be believed, the process must live, and the next attempt must have the right bytes.
 */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { type CalculatorOptions, calculator } from "@millrace/actors";
import {
  type Batch,
  type CommittedBehavior,
  type Draft,
  type Json,
  PayloadArchive,
  PayloadExchange,
  PayloadIntake,
  type PayloadReference,
  type PayloadToken,
  Positions,
  RowBatch,
  referenceValue,
  reportOf,
  systemEnv,
} from "@millrace/engine";
import { payloadRulesWithout } from "@millrace/engine/testing";
import { type MappedPayloadStore, openMappedPayloadStore } from "@millrace/native";
import { systemDisk } from "@millrace/streams/embedded";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { root } from "../millrace.ts";

const skipped = process.env.MILLRACE_SKIP_RUST ?? process.env.MILLRACE_SKIP_CXX;
const TEST_MS = 180_000;
const LENGTH = 100_000;
/** So many that they fill most of the store: of fewer, none may come to lie where the payload was. */
const OTHERS_MAX = 250;
const [PAGE, SLOT, PINNED, REVOKED] = [4096, 64, 2n, 3n];

/** Says that it reads, and goes on when the bytes have changed or the file says so. What it saw is its result, or its failure. */
const READER = `#include <millrace_calculator.hpp>
#include <fstream>
#include <string>
#include <unistd.h>
class Reader : public millrace::Calculator {
  std::string folder_;
 public:
  explicit Reader(millrace::Value config) : folder_(config["folder"].text()) {}
  void calculate(millrace::Value row, const millrace::Context &context, millrace::Writer &out) override {
    const auto block = context.open(row["block"]);
    const volatile uint8_t *bytes = block.bytes();
    const uint8_t first = bytes[0];
    { std::ofstream said(folder_ + "/reads"); }
    while (bytes[block.size() - 1] == first && access((folder_ + "/go").c_str(), F_OK) != 0) usleep(1000);
    const int last = bytes[block.size() - 1];
    if (last != first && row["act"].is_nil() == false) throw std::runtime_error("it does not parse");
    out.list(1).map(1).text("last").integer(last);
  }
};
MILLRACE_CALCULATOR(Reader)
`;

/** The process's store, with the tokens that it gave to its exchange. */
class TellingStore {
  readonly tokens: PayloadToken[] = [];
  readonly store: MappedPayloadStore;
  /** Past the exchange. */
  readonly put: MappedPayloadStore["put"];

  constructor(dir: string) {
    this.store = openMappedPayloadStore({ dir, bytesMax: 1 << 25 });
    const { store, tokens } = this;
    const put = store.put.bind(store);
    this.put = put;
    store.put = async (bytes, format) => {
      const token = await put(bytes, format);
      if (token !== undefined) tokens.push(token);
      return token;
    };
  }
}

class Recorder {
  readonly emitted: Json[] = [];
  readonly rejected: string[] = [];
  readonly draft = {
    at: 1,
    emit: (_: string, batch: Batch) => void this.emitted.push(...batch.rows()),
    reject: (_: unknown, failures: readonly { readonly error: unknown }[]) =>
      void this.rejected.push(...failures.map(({ error }) => reportOf(error).code)),
    recordAsync: (obtain: () => Promise<Json>) => obtain(),
  } as unknown as Draft;
}

describe.skipIf(skipped)(`a payload that is taken from compiled code${skipped ? ` (skipped: ${skipped})` : ""}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-revoked-"));
  const memory = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "millrace-revoked-"));
  const file = (name: string): string => join(folder, name);
  const rules = { ...payloadRulesWithout([]) };
  let telling: TellingStore;
  let exchange: PayloadExchange;
  let made: PayloadReference;
  let node: CommittedBehavior;

  beforeAll(async () => {
    writeFileSync(file("reader.cpp"), READER);
    const flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"];
    const paths = ["-I", join(root, "native", "sdk", "c"), "-o", file("reader.so"), file("reader.cpp")];
    execFileSync("c++", [...flags, ...paths], { stdio: "pipe" });
    telling = new TellingStore(memory);
    const log = { durableEnd: 0, async *read() {} };
    const archive = await PayloadArchive.open({ disk: systemDisk(), directory: file("payloads"), log });
    exchange = new PayloadExchange({ store: telling.store, archive, isMapped: true, rules });
    const intake = new PayloadIntake(() => exchange, { above: 1000, readers: 1 });
    const config = { file: file("reader.so"), config: { folder }, graph: "g", node: "n", memoryMib: 64 };
    const url = new URL("../../dist/calculator/library-module.js", import.meta.url).href;
    const options: CalculatorOptions = { url, config, payloads: { exchange, intake } };
    node = (await calculator(options, systemEnv())) as CommittedBehavior;
    await node.open?.({ graph: "g", node: "n" } as never);
  }, TEST_MS);
  beforeEach(async () => {
    for (const name of ["reads", "go"]) rmSync(file(name), { force: true });
    made = await exchange.intern(new Uint8Array(LENGTH).fill(7), "raw", exchange.scope());
  });
  afterAll(async () => {
    await node?.close?.();
    await exchange?.close();
    for (const path of [folder, memory]) rmSync(path, { recursive: true, force: true });
  });

  async function step(row: object): Promise<Recorder> {
    const recorder = new Recorder();
    const batch = new RowBatch([{ block: referenceValue(made), ...row }]);
    node.take(recorder.draft, { lane: "l", input: 0, batch, positions: Positions.dense(0, 1), late: [] });
    await node.finish?.(recorder.draft);
    node.seal();
    return recorder;
  }

  /** Takes the pins of this process away, in the file where the freeing side looks for them. */
  function revoke(): number {
    const boot = join(memory, readdirSync(memory).find((name) => name.endsWith("-v2")) ?? "");
    let revoked = 0;
    for (const name of readdirSync(boot).filter((found) => found.endsWith(".lease"))) {
      const bytes = readFileSync(join(boot, name));
      const fd = openSync(join(boot, name), "r+");
      for (let at = PAGE; at < statSync(join(boot, name)).size; at += SLOT) {
        const word = bytes.readBigUInt64LE(at);
        if ((word & 15n) !== PINNED) continue;
        const taken = Buffer.alloc(8);
        taken.writeBigUInt64LE((word & ~15n) | REVOKED);
        writeSync(fd, taken, 0, taken.length, at);
        revoked++;
      }
      closeSync(fd);
    }
    return revoked;
  }

  /** Frees the payload that is being read and fills its room with other bytes until the reader has seen them. */
  async function recycle(isOver: () => boolean): Promise<void> {
    while (!existsSync(file("reads"))) await setImmediate();
    expect(revoke()).toBe(1);
    const { store, tokens, put } = telling;
    await store.discard(tokens.at(-1) as PayloadToken);
    const others: PayloadToken[] = [];
    while (!isOver()) {
      store.sweep();
      const other = await put(new Uint8Array(LENGTH).fill(9), "raw");
      if (other !== undefined) others.push(other);
      if (others.length > OTHERS_MAX) await store.discard(others.shift() as PayloadToken);
      await setImmediate();
    }
    for (const other of others) await store.discard(other);
  }

  async function revokedStep(row: object): Promise<unknown> {
    let isOver = false;
    const running = step(row).then(
      ({ emitted, rejected }) => ({ emitted, rejected }),
      (error: unknown) => {
        const { code, kind } = reportOf(error);
        return { code, kind };
      },
    );
    void running.then(() => {
      isOver = true;
    });
    await recycle(() => isOver);
    node.discard();
    return running;
  }

  it.each([
    ["whose result of other bytes is not believed", {}],
    ["whose failure over other bytes is no failure of the message", { act: "parse" }],
  ])(
    "is an error with its code for code %s, and comes again with the right bytes",
    async (_, row) => {
      expect(await revokedStep(row)).toEqual({ code: "PAYLOAD-LEASE-LOST", kind: "transient" });
      writeFileSync(file("go"), "");
      const { emitted, rejected } = await step(row);
      expect([emitted, rejected]).toEqual([[{ last: 7 }], []]);
      expect(exchange.counters()).toMatchObject({ restores: expect.any(Number) });
      expect(exchange.counters().restores).toBeGreaterThan(0);
    },
    TEST_MS,
  );

  it(
    "would be believed if nobody asked afterwards (P-R6): the bytes that the code saw were others",
    async () => {
      rules["P-R6"] = false;
      try {
        const { emitted, rejected } = (await revokedStep({})) as Recorder;
        expect([emitted.length, rejected]).toEqual([1, []]);
        expect(emitted).not.toEqual([{ last: 7 }]);
      } finally {
        rules["P-R6"] = true;
      }
    },
    TEST_MS,
  );
});
