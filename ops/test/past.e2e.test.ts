/** The past of nodes through the command line: state at a moment, difference of two, who changed what, what followed from what. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Finished, lastJson, millrace, type Running, start } from "./millrace.ts";

// Every question starts a process.
vi.setConfig({ testTimeout: 60_000 });

const GRAPH = `name: sales
nodes:
  in:     { kind: source, from: "file:./in.ndjson", time: at, watermark: 1s }
  hourly: { kind: window, input: in, tumbling: 1h, by: { shop: event.shop }, compute: { n: count(), total: sum(event.amount) } }
  board:  { kind: sink, input: hourly, to: "projection:board", key: [shop] }
  file:   { kind: sink, input: hourly, to: "file:sales.ndjson" }
`;
/** Two shops in turn, one sale every ten minutes: three a shop and hour. */
const SALES = Array.from({ length: 16 }, (_, i) => ({
  at: new Date(Date.UTC(2026, 0, 1, 0, 10 * i)).toISOString(),
  shop: "ab"[i % 2] ?? "",
  amount: i,
}));

/** Groups of the hour that is open after the given sales, as a window would emit them. */
function openHour(sales: typeof SALES): Record<string, { n: number; total: number }> {
  const hour = Math.max(...sales.map(({ at }) => Math.floor(Date.parse(at) / 3_600_000)));
  const groups: Record<string, { n: number; total: number }> = {};
  for (const { at, shop, amount } of sales) {
    if (Math.floor(Date.parse(at) / 3_600_000) !== hour) continue;
    const group = groups[shop] ?? { n: 0, total: 0 };
    groups[shop] = { n: group.n + 1, total: group.total + amount };
  }
  return groups;
}

interface Event {
  readonly position: number;
  readonly timeMs: number;
  readonly stream: string;
  readonly graph: string;
  readonly type: string;
  readonly id: string;
  readonly correlationId: string;
}

interface State {
  readonly asOf: number;
  readonly steps: number;
  readonly rows: readonly { readonly shop: string; readonly n: number; readonly total: number }[];
}

interface Tree {
  readonly position: number;
  readonly consequences: readonly Tree[];
}

let cwd: string;
let data: string;
/** What the graph logged; the server goes on behind it. */
let events: readonly Event[];
/** An answer of the stopped server's files. */
let stopped: Finished;

/** A server on the same data, whose own graph has nothing to do with it. */
const OTHER = `name: other
nodes:
  in:  { kind: source, from: "http:/in" }
  out: { kind: sink, input: in, to: "discard:" }
`;
let server: Running;
let url: string;

const run = (...args: string[]): Promise<Finished> => millrace([...args, "--url", url], { cwd });

async function ask(...args: string[]): Promise<unknown> {
  const { code, stdout, stderr } = await run(...args, "--json");
  expect({ args, code, stderr }).toEqual({ args, code: args[0] === "diff" ? expect.any(Number) : 0, stderr: "" });
  return lastJson(stdout);
}

const stepsOf = (node: string): readonly Event[] =>
  events.filter(({ stream, type }) => stream === `sales/${node}` && type === "Step");

beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), "millrace-past-"));
  data = join(cwd, ".millrace");
  writeFileSync(join(cwd, "graph.yaml"), GRAPH);
  writeFileSync(join(cwd, "in.ndjson"), SALES.map((sale) => `${JSON.stringify(sale)}\n`).join(""));
  expect((await millrace(["run", "graph.yaml", "--until-done", "--json"], { cwd })).code).toBe(0);
  // What a graph was made of need not be there any more to look at its past.
  for (const file of ["graph.yaml", "in.ndjson"]) rmSync(join(cwd, file));
  rmSync(join(data, "out"), { recursive: true });
  stopped = await millrace(["state", "sales/hourly", "--at", "8", "--json", "--data", data], { cwd });
  writeFileSync(join(cwd, "other.yaml"), OTHER);
  server = start(["serve", "other.yaml", "--port", "0", "--json", "--data", data], { cwd });
  url = (JSON.parse(await server.line(/^\{/)) as { url: string }).url;
  const listed = (await ask("events", "ls", "--forward", "--limit", "1000")) as { events: readonly Event[] };
  events = listed.events.slice(
    0,
    listed.events.findIndex(({ graph }) => graph === "other"),
  );
}, 60_000);
afterAll(async () => {
  server.child.kill("SIGTERM");
  await server.finished;
  rmSync(cwd, { recursive: true, force: true });
}, 60_000);

describe("state", () => {
  it("is the fold of what is below the position: nothing, the open windows, nothing again", async () => {
    const [first] = stepsOf("hourly");
    const before = (await ask("state", "sales/hourly", "--at", String(first?.position))) as State;
    expect(before).toMatchObject({ asOf: first?.position, steps: 0, rows: [], rowCount: 0 });
    const after = (await ask("state", "sales/hourly", "--at", String((first?.position ?? 0) + 1))) as State;
    expect(after).toMatchObject({
      steps: 1,
      key: ["shop", "window_start"],
      kind: "window",
      lanes: [{ lane: "in#0>hourly" }],
    });
    expect(Object.fromEntries(after.rows.map(({ shop, n, total }) => [shop, { n, total }]))).toEqual(openHour(SALES));
    const end = (await ask("state", "sales/hourly")) as State;
    expect(end).toMatchObject({ steps: stepsOf("hourly").length, rows: [] });
    expect(end.asOf).toBeGreaterThan(events.length);
  });

  it("can be asked for by time: the end of that millisecond", async () => {
    const last = stepsOf("board").at(-1);
    const at = new Date(last?.timeMs ?? 0).toISOString();
    const then = (await ask("state", "sales/board", "--at", at)) as State;
    expect(then).toMatchObject({ steps: stepsOf("board").length, key: ["shop"] });
    expect(then.rows.map(({ shop }) => shop).sort()).toEqual(["a", "b"]);
    expect(then.asOf).toBeGreaterThan(last?.position ?? 0);
  });

  it("executes no effect and needs no file", async () => {
    const file = (await ask("state", "sales/file")) as { rows: unknown };
    expect(file.rows).toEqual([{ committed: { bytes: expect.any(Number), end: expect.any(String) } }]);
    expect(existsSync(join(data, "out"))).toBe(false);
    expect(readdirSync(cwd)).toEqual([".millrace", "other.yaml"]);
  });

  it("is refused for nodes and moments that there were not", async () => {
    const refused = async (...args: string[]): Promise<string> => {
      const { code, stderr } = await run("state", ...args);
      expect(code).toBe(2);
      return stderr;
    };
    expect(await refused("sales/nope")).toContain("HOST-MOMENT graph sales has no node nope");
    expect(await refused("sale/board")).toMatch(
      /HOST-MOMENT there is no graph sale at position \d+; did you mean `sales`\?/,
    );
    expect(await refused("sales/board", "--at", "999999")).toContain("HOST-MOMENT position 999999 is beyond the log");
    expect(await refused("sales/board", "--at", "2001-01-01T00:00:00Z")).toContain(
      "there is no graph sales at position 0",
    );
    expect(await refused("board")).toContain("CLI-USAGE");
  });

  it("of a stopped server is read from its files", async () => {
    expect(stopped).toMatchObject({ code: 0, stderr: "" });
    expect(lastJson(stopped.stdout)).toEqual(await ask("state", "sales/hourly", "--at", "8"));
  });
});

describe("diff", () => {
  it("says which rows came, went and changed, and ends with 1", async () => {
    const [, second] = stepsOf("board");
    const from = String(second?.position);
    const { code, stdout } = await run("diff", "sales/board", "--from", from, "--to", String(events.length));
    expect(code).toBe(1);
    expect(stdout).toMatch(/^row +field +before +after$/m);
    expect(stdout).toMatch(/^a +total +\d+ +\d+$/m);
    const diff = (await ask("diff", "sales/board", "--from", "3", "--to", String(events.length))) as {
      changes: unknown;
    };
    expect(diff).toMatchObject({ added: 2, removed: 0, changed: 0, from: { steps: 0 }, to: { asOf: events.length } });
    expect(diff.changes).toContainEqual({
      key: { shop: "a" },
      before: null,
      after: expect.objectContaining({ shop: "a" }),
    });
  });

  it("of a moment with itself is nothing, and ends with 0", async () => {
    const same = await run("diff", "sales/board", "--from", "9", "--to", "9");
    expect(same).toMatchObject({ code: 0, stdout: "0 rows added, 0 removed, 0 changed, from position 9 to 9\n" });
  });
});

describe("whodunit", () => {
  it("names the events that changed a field of a state, who wrote them and what they consumed", async () => {
    const { changes, total } = (await ask("whodunit", "sales/board", "total")) as {
      changes: readonly { position: number; key: { shop: string }; before: unknown; after: number; why: string }[];
      total: number;
    };
    expect([total, total > 3]).toEqual([changes.length, true]);
    expect(await ask("whodunit", "sales/board", "total", "--limit", "3")).toMatchObject({
      changes: changes.slice(-3),
      total,
    });
    const ofA = changes.filter(({ key }) => key.shop === "a");
    // Each change begins where the one before ended.
    expect(ofA.map(({ before }) => before)).toEqual([null, ...ofA.slice(0, -1).map(({ after }) => after)]);
    expect(new Set(changes.map(({ position }) => position))).toEqual(new Set(stepsOf("board").map((s) => s.position)));
    expect(changes[0]).toMatchObject({
      principal: "system",
      type: "Step",
      why: expect.stringMatching(/^hourly\.out>board after -1 to \d+$/),
    });
  });

  it("refuses streams and fields that there are not", async () => {
    const [stream, field, ofEmptied, ofGraph] = await Promise.all([
      run("whodunit", "sales/bord"),
      run("whodunit", "sales/board", "totl", "--json"),
      // No row is left of its state.
      run("whodunit", "sales/hourly", "totl"),
      run("whodunit", "graph/sales", "reson"),
    ]);
    expect(stream).toMatchObject({ code: 2, stderr: expect.stringContaining("did you mean `sales/board`?") });
    expect(field).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("sales/board has no field totl; did you mean `total`?"),
    });
    expect(ofEmptied).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("sales/hourly has no field totl; did you mean `total`?"),
    });
    expect(ofGraph).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("no event of graph/sales has a field reson; did you mean `reason`?"),
    });
  });

  it("names who did what to a graph", async () => {
    const all = (await ask("whodunit", "graph/sales")) as { changes: readonly Record<string, unknown>[] };
    expect(all.changes.map(({ type, principal }) => [type, principal])).toEqual([
      ["GraphDeployed", "cli"],
      ["GraphStarted", "cli"],
      ["GraphFinished", "system"],
      ["GraphStopped", "system"],
    ]);
    const last = await ask("whodunit", "graph/sales", "--limit", "2");
    expect(last).toMatchObject({ changes: all.changes.slice(-2), total: 4 });
    expect(await ask("whodunit", "graph/sales", "reason")).toMatchObject({
      changes: [{ type: "GraphStopped", before: null, after: "done", why: "done" }],
    });
  });
});

describe("trace", () => {
  it("is the tree of what followed from one cause, by position, event and correlation alike", async () => {
    const [cause] = stepsOf("hourly");
    const [effect] = stepsOf("board");
    const byPosition = (await ask("trace", String(effect?.position))) as { roots: readonly Tree[]; events: number };
    expect(byPosition.roots).toHaveLength(1);
    expect(byPosition.roots[0]?.position).toBe(cause?.position);
    expect(byPosition.roots[0]?.consequences.map(({ position }) => position)).toEqual(
      [stepsOf("board")[0], stepsOf("file")[0]].map((event) => event?.position).sort((a, b) => (a ?? 0) - (b ?? 0)),
    );
    expect(await ask("trace", effect?.id ?? "")).toEqual(byPosition);
    expect(await ask("trace", cause?.correlationId ?? "")).toEqual(byPosition);
    const { stdout } = await run("trace", String(effect?.position));
    expect(stdout).toMatch(new RegExp(`^#${cause?.position} .* Step sales/hourly@1 by system$`, "m"));
    expect(stdout).toMatch(new RegExp(`^[├└] #${effect?.position} .* Step sales/board@1 by system ◀$`, "m"));
    expect((await run("trace", "f".repeat(32))).code).toBe(2);
  });
});
