import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { type CommittedBehavior, type Json, type PureBehavior, RowBatch, reportOf, systemEnv } from "@millrace/engine";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { FRESH, RecordingDraft, sliceOf } from "../../test/recording-draft.ts";
import { type CalculatorOptions, calculator } from "./calculator.ts";

const folder = mkdtempSync(join(tmpdir(), "calculator-"));
afterAll(() => rmSync(folder, { recursive: true }));
const open: CommittedBehavior[] = [];
afterEach(async () => {
  for (const behavior of open.splice(0)) await behavior.close?.();
});

let files = 0;
function moduleOf(source: string, extension = "ts"): string {
  const path = join(folder, `module-${files++}.${extension}`);
  writeFileSync(path, source);
  return pathToFileURL(path).href;
}

async function committed(source: string, options: Partial<CalculatorOptions> = {}): Promise<CommittedBehavior> {
  const behavior = (await calculator({ url: moduleOf(source), ...options }, systemEnv())) as CommittedBehavior;
  expect(behavior.kind).toBe("committed");
  open.push(behavior);
  return behavior;
}

/** Runs one step over rows; with `recorded` as a replay does. */
async function step(
  behavior: CommittedBehavior,
  rows: readonly Json[],
  recorded?: readonly Json[],
): Promise<RecordingDraft> {
  const draft = new RecordingDraft(recorded);
  behavior.take(draft, sliceOf(rows));
  await behavior.finish?.(draft);
  behavior.seal();
  return draft;
}

const messagesOf = (draft: RecordingDraft): readonly string[] =>
  draft.failures.map(({ error }) => reportOf(error).message);

test("a TypeScript module is loaded without its types, and may expand and drop messages", async () => {
  const behavior = await committed(`
    interface Row { readonly n: number }
    export default (row: Row): unknown => (row.n === 0 ? undefined : row.n === 1 ? { one: true } : [row, { n: row.n * 10 } satisfies Row]);
  `);
  expect((await step(behavior, [{ n: 0 }, { n: 1 }, { n: 2 }])).out).toEqual([{ one: true }, { n: 2 }, { n: 20 }]);
});

test("no message is given up because the module does not load again for a while after its worker was lost", async () => {
  const down = join(folder, "down");
  const behavior = await committed(
    `
    import { existsSync } from "node:fs";
    if (existsSync(${JSON.stringify(down)})) throw new Error("the database is away");
    export default (row) => (row === "exit" ? process.exit(3) : row);
  `,
    { attemptsMax: 1 },
  );
  expect((await step(behavior, ["exit"])).rejected).toEqual(["0 CALC-EXIT"]);
  writeFileSync(down, "");
  const error = { code: "CALC-START", kind: "transient", message: expect.stringContaining("the database is away") };
  await expect(step(behavior, ["a"])).rejects.toMatchObject(error);
  behavior.discard();
  rmSync(down);
  expect((await step(behavior, ["a"])).out).toEqual(["a"]);
});

test("what threads print goes to stderr, of which only Node's own pipe listens to it", async () => {
  const listeners = process.stderr.listenerCount("unpipe");
  const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  try {
    const behavior = await committed(`export default (row) => { console.log("printed " + row); return row; }`);
    await step(behavior, [7]);
    await vi.waitUntil(() => write.mock.calls.some(([text]) => Buffer.from(text).toString().includes("printed 7")));
    expect(process.stderr.listenerCount("unpipe")).toBe(listeners + 1);
  } finally {
    write.mockRestore();
  }
});

test("bytes that it keeps and returns again are there again", async () => {
  const behavior = await committed(`
    const logo = new Uint8Array([1, 2, 3]);
    export default () => ({ logo });
  `);
  const { out } = await step(behavior, [{}]);
  expect(out).toEqual([{ logo: { $payload: { format: "raw", base64: "AQID" } } }]);
  expect((await step(behavior, [{}])).out).toEqual(out);
});

test("bytes that it gives to a payload leave without a copy, and cannot be given again", async () => {
  const behavior = await committed(`
    const given = new Uint8Array([1, 2, 3]);
    export default (row, context) => (row.look ? { left: given.length } : { given: context.payload(given, "npy") });
  `);
  const { out } = await step(behavior, [{}]);
  expect(out).toEqual([{ given: { $payload: { format: "npy", base64: "AQID" } } }]);
  expect((await step(behavior, [{ look: true }])).out).toEqual([{ left: 0 }]);
  const again = await step(behavior, [{}, { look: true }]);
  expect([again.out, again.rejected]).toEqual([[{ left: 0 }], ["0 PAYLOAD-VALUE"]]);
  expect(messagesOf(again)[0]).toContain("went away with an earlier result");
});

test("its thread loads nothing of what only a host needs", async () => {
  const behavior = await committed(`
    import Module from "node:module";
    export default () => Object.keys(Module._cache).filter((path) => /node_modules.(ajv|yaml|msgpackr)./.test(path));
  `);
  expect((await step(behavior, [{}])).out).toEqual([]);
});

test("whatever a module throws rejects its own message, with the place in the source", async () => {
  const url = moduleOf(`type N = number;
export default (row: { n: N }) => {
  if (row.n === 1) throw new TypeError("one is odd");
  if (row.n === 2) throw undefined;
  if (row.n === 3) throw { toString() { throw 1; } };
  if (row.n === 4) return Promise.reject(new Error("later"));
  return row;
};`);
  const behavior = (await calculator({ url }, systemEnv())) as CommittedBehavior;
  open.push(behavior);
  const result = await step(
    behavior,
    [0, 1, 2, 3, 4, 5].map((n) => ({ n })),
  );
  expect(result.out).toEqual([{ n: 0 }, { n: 5 }]);
  expect(result.rejected).toEqual(["1 CALC-THREW", "2 CALC-THREW", "3 CALC-THREW", "4 CALC-THREW"]);
  expect(messagesOf(result).slice(0, 2)).toEqual(["one is odd", "threw undefined, which is not an Error"]);
  const failure = ((await calculator({ url, pure: true }, systemEnv())) as PureBehavior).transform(
    new RowBatch([{ n: 1 }]),
  ).failures[0];
  expect(reportOf(failure?.error).place).toMatchObject({ file: expect.stringMatching(/module-\d+\.ts$/), line: 3 });
});

test("a result that is no JSON is rejected with the path of the bad field", async () => {
  const behavior = await committed(`
    const cycle = {}; cycle.self = [cycle];
    const bad = [() => 1, { a: [1, 2n] }, Symbol("x"), cycle, { m: new Map() }];
    export default (row) => typeof row === "number" ? bad[row] : { ok: [Number.NaN, new Date(0), undefined === 1], gone: undefined };
  `);
  const result = await step(behavior, [0, 1, 2, 3, 4, "fine"]);
  expect(result.rejected.map((f) => f.slice(2))).toEqual(Array(5).fill("CALC-RESULT"));
  expect(messagesOf(result)[1]).toContain("a bigint at /a/1");
  expect(messagesOf(result)[4]).toContain("an instance of Map at /m");
  expect(result.out).toEqual([{ ok: [null, "1970-01-01T00:00:00.000Z", false] }]);
});

test("a loop and a promise that never settles cost their own message only", async () => {
  const source = `
    export default (row) => {
      if (row === "loop") for (;;);
      if (row === "never") return new Promise(() => {});
      return row;
    };
  `;
  const behavior = await committed(source, { deadlineMs: 250 });
  const result = await step(behavior, [1, "loop", 2, 3, "never", 4]);
  expect(result.rejected).toEqual(["1 CALC-TIMEOUT", "4 CALC-TIMEOUT"]);
  expect(result.attempts).toBe(2);
  expect(result.out).toEqual([1, 2, 3, 4]);
});

test("leaving the process or filling the memory ends the worker, not the host", async () => {
  const behavior = await committed(
    `export default (row) => {
      if (row === "exit") process.exit(3);
      if (row === "fill") { const all = []; for (;;) all.push(new Array(2e6).fill(0.5)); }
      return row;
    };`,
    { memoryMib: 32, deadlineMs: 5000 },
  );
  const result = await step(behavior, [1, "exit", 2, "fill", 3]);
  expect(result.rejected).toEqual(["1 CALC-EXIT", "3 CALC-OOM"]);
  expect(result.out).toEqual([1, 2, 3]);
});

test("buffers that are kept from batch to batch cost the worker, and no message", async () => {
  const source = `
    const kept = [];
    export default (row) => { kept.push(Buffer.alloc(24 << 20, 1)); return kept.length; };
  `;
  const behavior = await committed(source, { memoryMib: 64, deadlineMs: 5000 });
  const held: Json[] = [];
  for (let n = 0; n < 6; n++) held.push(...(await step(behavior, [n])).out);
  // The third is over the limit, its worker is replaced.
  expect(held).toEqual([1, 2, 3, 1, 2, 3]);
  expect(behavior.describe?.()).toMatchObject({ failures: 2, lastFailure: expect.stringContaining("CALC-OOM") });
});

test("stray rejections and throws in callbacks harm no message", async () => {
  const behavior = await committed(`
    export default async (row) => {
      void Promise.reject(new Error("stray"));
      setTimeout(() => { throw new Error("stray too"); }, 0);
      await new Promise((go) => setTimeout(go, 0));
      return row;
    };
  `);
  expect((await step(behavior, [1, 2])).out).toEqual([1, 2]);
  expect((await step(behavior, [3])).out).toEqual([3]);
});

test("what a module says through its thread's port is heard by nobody", async () => {
  const emitted = vi.spyOn(Worker.prototype, "emit");
  const behavior = await committed(`
    import { parentPort, workerData } from "node:worker_threads";
    export default (row) => {
      for (let i = 0; i < 1000; i++) parentPort.postMessage({ type: "rubbish" });
      return { row, port: workerData.calculator === undefined };
    };
  `);
  expect((await step(behavior, [1, 2])).out).toEqual([1, 2].map((row) => ({ row, port: true })));
  await behavior.close?.();
  expect(emitted.mock.calls.filter(([event]) => event === "message")).toEqual([]);
  emitted.mockRestore();
});

test("a replay takes the logged results and calls nothing", async () => {
  const behavior = await committed(
    "let n = 0; export default () => { if (n === 1) { n++; throw new Error('odd'); } return n++; };",
  );
  const first = await step(behavior, ["a", "b", "c"]);
  const again = await step(behavior, ["a", "b", "c"], first.recorded);
  expect(first.out).toEqual([0, 2]);
  expect([again.out, again.rejected]).toEqual([first.out, first.rejected]);
});

test("a module is told its configuration, the step's time and its node, and says in a thread what it is", async () => {
  const behavior = await committed(
    `
    let base = 0;
    export default { init(config) { base = config.base; }, details: () => ({ base }), calculate(row, { at, node }) { return [row + base, at, node]; } };
  `,
    { config: { base: 40 } },
  );
  await behavior.open?.({
    graph: "g",
    node: "score",
    revision: 1,
    output: FRESH,
    request: async () => 0,
    fail: () => undefined,
    signal: AbortSignal.abort(),
  });
  expect((await step(behavior, [2])).out).toEqual([42, 1_000, "score"]);
  expect(behavior.describe?.()).toMatchObject({ isolation: "thread", healthy: true, details: { base: 40 } });
});

test("a pure module may write to its row: whoever else has the message sees it as it was", async () => {
  const source = "export const pure = true; export default (row) => { row.n++; row.list.push(row.n); return row; }";
  const behavior = (await calculator({ url: moduleOf(source, "mjs") }, systemEnv())) as PureBehavior;
  const shared = new RowBatch([{ n: 1, list: [] }]);
  for (let times = 0; times < 2; times++)
    expect(behavior.transform(shared).outputs[0]?.batch.rows()).toEqual([{ n: 2, list: [2] }]);
  expect(shared.rows()).toEqual([{ n: 1, list: [] }]);
});

test("a module that says it is pure runs inline", async () => {
  for (const source of [
    "export const pure = true; export default (row) => row * 2",
    "export default { pure: true, calculate: (row) => row * 2 }",
  ]) {
    const behavior = (await calculator({ url: moduleOf(source, "mjs") }, systemEnv())) as PureBehavior;
    expect(behavior.kind).toBe("pure");
    const result = behavior.transform(new RowBatch([1, 2]));
    expect([result.outputs[0]?.batch.rows(), result.outputs[0]?.sources]).toEqual([[2, 4], null]);
  }
});

test("a calculator that runs inline says whether it is healthy, and what it failed of", async () => {
  const source = `export default { pure: true, details: () => ({ model: 7 }), calculate(row) { if (row > 2) throw new Error(row + " is too much"); return row; } }`;
  const behavior = (await calculator({ url: moduleOf(source, "mjs") }, systemEnv())) as PureBehavior;
  const after = (rows: readonly number[]): unknown => {
    behavior.transform(new RowBatch(rows));
    return behavior.describe?.();
  };
  expect(after([1, 2])).toEqual({
    isolation: "inline",
    healthy: true,
    restarts: 0,
    failures: 0,
    lastFailure: null,
    details: { model: 7 },
  });
  const lastFailure = expect.stringContaining("CALC-THREW: 4 is too much");
  expect(after([1, 3, 4])).toMatchObject({ healthy: true, failures: 2, lastFailure });
  expect(after([4])).toMatchObject({ healthy: false, failures: 3, lastFailure });
  expect(after([])).toMatchObject({ healthy: false });
  expect(after([1])).toMatchObject({ healthy: true, failures: 3, lastFailure });
});

test("a module that does not load is refused with its place", async () => {
  const loading = async (source: string, pure: boolean): Promise<unknown> => {
    try {
      return await calculator({ url: moduleOf(source), pure }, systemEnv());
    } catch (thrown) {
      const report = reportOf(thrown);
      return `${report.code} ${report.place?.line ?? "?"}`;
    }
  };
  expect(await loading("export const a = 1;\nenum E { A }\nexport default () => E.A;", false)).toBe("CALC-LOAD 2");
  expect(await loading("export default 7;", false)).toBe("CALC-LOAD ?");
  expect(await loading("\n\nthrow new Error('at once');", false)).toBe("CALC-LOAD 3");
  expect(await loading("export const nothing = 1;", true)).toBe("CALC-LOAD ?");
  await expect(calculator({ url: pathToFileURL(join(folder, "absent.ts")).href }, systemEnv())).rejects.toMatchObject({
    code: "CALC-LOAD",
  });
});
