import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../services/free-port.ts";
import { lastJson, millrace, type Running, start } from "./millrace.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-cli-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Writes files into a folder of their own. */
function folder(name: string, files: Readonly<Record<string, string>>): string {
  const path = join(directory, name);
  mkdirSync(path, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  return path;
}

const ORDERS = `name: orders
nodes:
  orders: { kind: source, from: "file:./orders.ndjson" }
  large:  { kind: filter, input: orders, where: "event.amount > 10" }
  priced: { kind: map, input: large, set: { vat: "event.amount * 0.5" } }
  table:  { kind: sink, input: priced, to: "projection:large-orders", key: [id] }
  file:   { kind: sink, input: priced, to: "file:large.csv" }
`;

/** Lines 3 and 5 are bad: one is no JSON, the other has no amount. */
const ORDER_LINES = [
  '{"id":1,"amount":12}',
  '{"id":2,"amount":3}',
  '{"id":3,"amount":',
  '{"id":4,"amount":40}',
  '{"id":5}',
  "",
].join("\n");

/** Its sink gives up. */
const FLAKY = `name: flaky
supervision: { intensity: 1, backoffMs: 1, backoffMaxMs: 2 }
nodes:
  in:  { kind: source, from: "file:./in.ndjson" }
  out: { kind: sink, input: in, to: "file:/dev/null/impossible.ndjson" }
`;

describe("help", () => {
  it.each([
    "",
    "run",
    "validate",
    "test",
    "graph",
    "graph stop",
    "events",
    "events ls",
    "state",
    "diff",
    "whodunit",
    "trace",
    "sql",
    "projection query",
    "dlq",
    "dlq redrive",
    "audit",
    "audit verify",
    "audit prove",
    "audit consistency",
    "audit export",
    "log",
    "log ls",
    "log archive",
    "log prune",
    "log hold",
    "log hold place",
    "log scrub",
    "log repair",
    "erase",
    "doctor",
    "serve",
  ])("of millrace %s is as documented", async (command) => {
    const { code, stdout } = await millrace([...command.split(" ").filter(Boolean), "--help"]);
    expect(code).toBe(0);
    await expect(stdout).toMatchFileSnapshot(
      `golden/help${command === "" ? "" : `-${command.replaceAll(" ", "-")}`}.txt`,
    );
  });
});

describe("exit codes", () => {
  it.each([
    ["an unknown command", ["frobnicate"], 2],
    ["an unknown option", ["run", "x.yaml", "--frobnicate"], 2],
    ["a port that is none", ["serve", "--port", "70000"], 2],
    ["a missing graph file", ["run", "does-not-exist.yaml"], 2],
    ["a server that is not there", ["graph", "ls", "--url", "http://127.0.0.1:1"], 3],
    ["a data directory that holds nothing", ["events", "ls", "--data", "does-not-exist"], 2],
    ["a condition that is none", ["projection", "query", "x", "--where", "origin", "--url", "http://127.0.0.1:1"], 2],
  ])("%s", async (_what, args, expected) => {
    const { code, stderr } = await millrace(args, { cwd: directory });
    expect(code).toBe(expected);
    expect(stderr).toMatch(/^(?:\S+ )?(?:CLI|HOST)-[A-Z]+ /);
    expect(existsSync(join(directory, "does-not-exist"))).toBe(false);
  });

  it("says which file of a command is not there", async () => {
    const { stderr } = await millrace(["validate", "does-not-exist.yaml"], { cwd: directory });
    expect(stderr).toContain("does-not-exist.yaml CLI-USAGE there is no file does-not-exist.yaml\n");
  });

  it("says what failed as JSON too", async () => {
    const { stdout } = await millrace(["graph", "ls", "--json", "--url", "http://127.0.0.1:1"]);
    expect(lastJson(stdout)).toMatchObject({ error: { code: "CLI-UNREACHABLE" } });
    const misspelt = await millrace(["grpah", "ls", "--json"]);
    expect(lastJson(misspelt.stdout)).toMatchObject({ error: { code: "CLI-USAGE" } });
  });
});

describe("a server that cannot be opened whole", () => {
  const own = (): string => folder("half", { "graph.yaml": ORDERS, "orders.ndjson": ORDER_LINES });

  it("ends, with nothing left that keeps it running", async () => {
    const port = String(await freePort());
    const cert = ["--eventstore-port", port, "--eventstore-cert", "a.pem", "--eventstore-key", "a.pem"];
    const { code, stderr } = await millrace(["serve", "graph.yaml", "--port", "0", ...cert], { cwd: own() });
    expect(stderr).toContain("CLI-USAGE a.pem cannot be read");
    expect(code).toBe(2);
  });

  it("refuses a certificate for a port that it is not told to serve", async () => {
    const args = ["serve", "graph.yaml", "--port", "0", "--eventstore-cert", "a.pem", "--eventstore-key", "a.pem"];
    const { code, stderr } = await millrace(args, { cwd: own() });
    expect([code, stderr]).toEqual([2, expect.stringContaining("--eventstore-port")]);
  });

  it("closes the broker of its edges when its data cannot be opened", async () => {
    const cwd = own();
    writeFileSync(join(cwd, "taken"), "");
    const args = ["serve", "graph.yaml", "--port", "0", "--edges", "nats://127.0.0.1:1", "--data", "taken"];
    const { code, stderr } = await millrace(args, { cwd });
    expect([code, stderr]).toEqual([1, expect.stringContaining("HOST-DATA")]);
  });
});

describe("validate", () => {
  it("says of good files what is in them", async () => {
    const cwd = folder("good", { "graph.yaml": ORDERS, "orders.ndjson": "" });
    expect(await millrace(["validate", "graph.yaml"], { cwd })).toMatchObject({
      code: 0,
      stdout: "ok graph.yaml: graph orders, 5 nodes\n",
    });
  });

  it("shows every problem of every file with its place, and ends with 1", async () => {
    const broken = ORDERS.replace("input: large,", "input: lrage,").replace("kind: filter", "kind: fliter");
    const cwd = folder("broken", { "a.yaml": broken, "b.yaml": ORDERS });
    const { code, stdout } = await millrace(["validate", "a.yaml", "b.yaml"], { cwd });
    expect(code).toBe(1);
    await expect(stdout).toMatchFileSnapshot("golden/validate.txt");
    const { problems } = lastJson((await millrace(["validate", "a.yaml", "b.yaml", "--json"], { cwd })).stdout) as {
      problems: unknown[];
    };
    expect(problems).toHaveLength(stdout.trimEnd().split("\n").length);
  });
});

describe("run", () => {
  it("shows every problem of a graph file and ends with 2", async () => {
    const cwd = folder("unrunnable", { "graph.yaml": ORDERS.replace("input: large", "input: lrage") });
    const { code, stdout, stderr } = await millrace(["run", "graph.yaml", "--until-done", "--json"], { cwd });
    expect(code).toBe(2);
    expect(stderr).toContain("GRAPH-INVALID found 3 problems\n  graph.yaml:3:33 GRAPH-FILE");
    expect(lastJson(stdout)).toMatchObject({
      error: { code: "GRAPH-INVALID", details: { problems: [{ line: 3 }, {}, {}] } },
    });
    expect(existsSync(join(cwd, ".millrace"))).toBe(false);
  });
});

describe("run --until-done", () => {
  let cwd: string;

  beforeAll(async () => {
    cwd = folder("orders", { "graph.yaml": ORDERS, "orders.ndjson": ORDER_LINES });
    const { code, stdout } = await millrace(["run", "graph.yaml", "--until-done", "--json"], { cwd });
    expect(code).toBe(0);
    expect(lastJson(stdout)).toMatchObject({
      graph: "orders",
      revision: 1,
      messagesIn: 5,
      messagesOut: 4,
      consumed: 1,
      deadLettered: 2,
      dropped: 0,
    });
  });

  const ask = async (...args: string[]): Promise<unknown> => {
    const { code, stdout, stderr } = await millrace([...args, "--json", "--data", ".millrace"], { cwd });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return lastJson(stdout);
  };

  it("writes to the data directory what its sinks are given", () => {
    expect(readFileSync(join(cwd, ".millrace", "out", "large.csv"), "utf8")).toBe("id,amount,vat\n1,12,6\n4,40,20\n");
  });

  it("leaves projections that can be asked", async () => {
    expect(await ask("projection", "query", "large-orders")).toMatchObject({
      rows: [
        { id: 1, amount: 12, vat: 6 },
        { id: 4, amount: 40, vat: 20 },
      ],
      next: null,
    });
    const { projections } = (await ask("projection", "ls")) as { projections: { name: string; lag: number }[] };
    expect(projections.map(({ name, lag }) => [name, lag])).toContainEqual(["large-orders", 0]);
  });

  it("dead-letters what it cannot read or judge, with place and reason", async () => {
    const { rows } = (await ask("dlq", "ls")) as { rows: { id: string; node: string; error: { code: string } }[] };
    expect(rows.map(({ node, error }) => [node, error.code]).sort()).toEqual([
      ["large", "EXPR-FAILED"],
      ["orders", "MSG-DECODE"],
    ]);
    const large = rows.find(({ node }) => node === "large")?.id ?? "";
    expect(await ask("dlq", "show", large)).toMatchObject({
      input: { id: 5 },
      state: "waiting",
      error: { place: { file: "graph.yaml", line: 4 } },
    });
  });

  it("logs who deployed, started and stopped the graph", async () => {
    const { events } = (await ask("events", "ls", "--stream", "graph/orders", "--forward")) as {
      events: { type: string; principal: string }[];
    };
    expect(events.map(({ type, principal }) => [type, principal])).toEqual([
      ["GraphDeployed", "cli"],
      ["GraphStarted", "cli"],
      ["GraphFinished", "system"],
      ["GraphStopped", "system"],
    ]);
  });

  it("goes on with a changed graph file as the next revision, which begins where the one before ended", async () => {
    const data = join(folder("revisions", {}), "data");
    const lines = (from: number): string => Array.from({ length: 100 }, (_, i) => `{"v":${from + i}}\n`).join("");
    const graphs = (filter: string, least: number): string => `name: numbers
nodes:
  in: { kind: source, from: "file:./in.ndjson" }
  ${filter}: { kind: filter, input: in, where: "event.v % 100 >= ${least}" }
  out: { kind: sink, input: ${filter}, to: "file:out.ndjson" }
`;
    const run = (files: Record<string, string>): ReturnType<typeof millrace> =>
      millrace(["run", "graph.yaml", "--until-done", "--json", "--data", data], {
        cwd: folder("revision-files", files),
      });
    const first = await run({ "graph.yaml": graphs("most", 10), "in.ndjson": lines(0) });
    const second = await run({ "graph.yaml": graphs("few", 90), "in.ndjson": lines(0) + lines(100) });
    expect([first.code, second.code]).toEqual([0, 0]);
    expect(JSON.parse(second.stdout.trim().split("\n").at(-1) ?? "")).toMatchObject({ revision: 2, messagesOut: 10 });
    const rows = readFileSync(join(data, "out", "out.ndjson"), "utf8")
      .trim()
      .split("\n");
    expect(rows.length).toBe(90 + 10);
  });

  it("leaves alone what it finds in the file of a sink that begins, unless the sink says that it replaces it", async () => {
    const own = folder("occupied", { "result.ndjson": "of last month\n" });
    const result = join(own, "result.ndjson");
    const run = (rows: string, more = ""): ReturnType<typeof millrace> => {
      const graph = `name: copy
nodes:
  in:  { kind: source, from: "file:./in.ndjson" }
  out: { kind: sink, input: in, to: "file:${result}"${more} }
`;
      folder("occupied", { "in.ndjson": rows, "graph.yaml": graph });
      return millrace(["run", "graph.yaml", "--until-done"], { cwd: own });
    };
    const refused = await run("1\n");
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain(`graph.yaml:4:38 SINK-OCCUPIED sink out would begin in ${result}`);
    expect(readFileSync(result, "utf8")).toBe("of last month\n");
    expect(await run("1\n", ", replace: true")).toMatchObject({ code: 0 });
    expect(await run("1\n2\n")).toMatchObject({ code: 0 });
    expect(readFileSync(result, "utf8")).toBe("1\n2\n");
  });

  it("refuses another revision when the one before cannot be run to its end, and names what changed and the way out", async () => {
    const data = join(folder("pinned", {}), "data");
    const graph = `name: pinned
nodes:
  in: { kind: source, from: "file:./in.ndjson" }
  known: { kind: enrich, input: in, table: "file:./table.csv", key: event.k, on: k, as: row }
  out: { kind: sink, input: known, to: "file:out.ndjson" }
`;
    const run = (table: string): ReturnType<typeof millrace> => {
      const files = { "graph.yaml": graph, "in.ndjson": '{"k":"a"}\n', "table.csv": table };
      return millrace(["run", "graph.yaml", "--until-done", "--data", data], { cwd: folder("pinned-files", files) });
    };
    expect((await run("k,v\na,1\n")).code).toBe(0);
    const { code, stderr } = await run("k,v\na,2\n");
    expect(code).toBe(2);
    expect(stderr).toContain("HOST-REVISION");
    expect(stderr).toContain("table.csv");
    expect(stderr).toContain("--data DIR");
  });

  it("joins messages with the rows of a projection, also of another graph", async () => {
    const people = `name: people
nodes:
  in:  { kind: source, from: "file:./people.csv" }
  out: { kind: sink, input: in, to: "projection:people", key: [id] }
`;
    const visits = `name: visits
nodes:
  in:     { kind: source, from: "file:./visits.ndjson" }
  known:  { kind: enrich, input: in, table: "projection:people", key: event.who, on: id, as: person, required: true }
  out:    { kind: sink, input: known, to: "file:visits.ndjson" }
`;
    const own = folder("join", {
      "people.yaml": people,
      "people.csv": "id,name\n1,Ada\n2,Alan\n",
      "visits.yaml": visits,
      "visits.ndjson": '{"who":2}\n{"who":7}\n{"who":1}\n',
    });
    expect((await millrace(["run", "visits.yaml", "--until-done", "--data", "alone"], { cwd: own })).stderr).toContain(
      "visits.yaml:4:46 HOST-PROJECTION there is no projection people",
    );
    await millrace(["run", "people.yaml", "--until-done"], { cwd: own });
    const { stdout } = await millrace(["run", "visits.yaml", "--until-done", "--json"], { cwd: own });
    expect(lastJson(stdout)).toMatchObject({ messagesIn: 3, messagesOut: 2, deadLettered: 1 });
    expect(readFileSync(join(own, ".millrace", "out", "visits.ndjson"), "utf8")).toBe(
      '{"who":2,"person":{"id":2,"name":"Alan"}}\n{"who":1,"person":{"id":1,"name":"Ada"}}\n',
    );
  }, 60_000);

  it("refuses a graph whose source has no end", async () => {
    const graph = `name: ticks
nodes:
  in:  { kind: source, from: "metronome:1s" }
  out: { kind: sink, input: in, to: "discard:" }
`;
    const own = folder("endless", { "graph.yaml": graph });
    const { code, stderr } = await millrace(["run", "graph.yaml", "--until-done"], { cwd: own });
    expect(code).toBe(2);
    expect(stderr).toContain("graph.yaml:3:3 CLI-USAGE source in has no end");
    expect(existsSync(join(own, ".millrace"))).toBe(false);
  });

  it("ends with 1 when a node gives up", async () => {
    const own = folder("flaky", { "graph.yaml": FLAKY, "in.ndjson": '{"a":1}\n' });
    const { code, stderr } = await millrace(["run", "graph.yaml", "--until-done"], { cwd: own });
    expect(code).toBe(1);
    expect(stderr).toContain("HOST-PARKED");
    expect(stderr).toContain("SINK-FAILED");
  });
});

describe("a server", () => {
  const servers: Running[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      server.child.kill("SIGTERM");
      await server.finished;
    }
  });

  async function serve(cwd: string, ...args: string[]): Promise<{ url: string; server: Running }> {
    const server = start(["serve", "graph.yaml", "--port", "0", "--json", ...args], { cwd });
    servers.push(server);
    const { url } = JSON.parse(await server.line(/^\{/)) as { url: string };
    return { url, server };
  }

  it("shows, suspends, resumes, stops and starts graphs, and logs who asked and why", async () => {
    const cwd = folder("server", { "graph.yaml": ORDERS, "orders.ndjson": ORDER_LINES });
    const { url } = await serve(cwd);
    const shown = await millrace(["graph", "show", "orders", "--url", url]);
    expect(shown.stdout).toContain("orders revision 1, ");
    expect(shown.stdout).toContain("priced -> table");
    expect((await millrace(["graph", "stop", "orders", "--reason", "testing", "--url", url])).stdout).toBe(
      "orders: stopped\n",
    );
    expect((await millrace(["graph", "resume", "orders", "--url", url])).code).toBe(2);
    expect((await millrace(["graph", "start", "orders", "--url", url])).code).toBe(0);
    const events = await millrace(["events", "ls", "--type", "GraphStopped", "--json", "--url", url]);
    expect(lastJson(events.stdout)).toMatchObject({ events: [{ principal: "local", payload: { reason: "testing" } }] });
    const tagged = (stream: string, ...tags: string[]) => ({ stream, events: [{ type: "Booked", data: {}, tags }] });
    const appends = [tagged("a", "seat:17"), tagged("b", "seat:17", "flight:1"), tagged("c", "flight:1")];
    const body = JSON.stringify({ appends });
    const headers = { "content-type": "application/json" };
    expect((await fetch(`${url}/api/v1/events`, { method: "POST", headers, body })).status).toBe(200);
    const of = ["--tag", "seat:17", "--tag", "flight:1"];
    const { stdout } = await millrace(["events", "ls", ...of, "--json", "--url", url]);
    expect(lastJson(stdout)).toMatchObject({ events: [{ stream: "b" }] });
    expect((lastJson(stdout) as { readonly events: readonly unknown[] }).events).toHaveLength(1);
  });

  it("sends a dead letter through its node again, once, also after a restart", async () => {
    const cwd = folder("redrive", {
      "in.ndjson": '{"n":1}\n{"n":2}\n',
      "halve.mjs": `import { existsSync } from "node:fs";
        export default (row) => {
          if (row.n === 2 && existsSync(new URL("./broken", import.meta.url))) throw new Error("it is broken");
          return { n: row.n, half: row.n / 2 };
        };`,
      broken: "",
      "graph.yaml": `name: halves
nodes:
  in:   { kind: source, from: "file:./in.ndjson" }
  half: { kind: calculator, input: in, use: ./halve.mjs }
  out:  { kind: sink, input: half, to: "projection:halves", key: [n] }
`,
    });
    const ran = await millrace(["run", "graph.yaml", "--until-done", "--json"], { cwd });
    expect(lastJson(ran.stdout)).toMatchObject({ messagesIn: 2, messagesOut: 1, deadLettered: 1 });
    rmSync(join(cwd, "broken"));

    const { url, server } = await serve(cwd);
    const listed = await millrace(["dlq", "ls", "--json", "--url", url]);
    const { rows } = lastJson(listed.stdout) as { rows: { id: string; error: { code: string } }[] };
    expect(rows.map(({ error }) => error.code)).toEqual(["CALC-THREW"]);
    const id = rows[0]?.id ?? "";
    expect((await millrace(["dlq", "redrive", id, "--url", url])).stdout).toContain("1 of 1 sent again");
    const halves = async (): Promise<unknown> =>
      (
        lastJson((await millrace(["projection", "query", "halves", "--json", "--url", url])).stdout) as {
          rows: unknown;
        }
      ).rows;
    await expect.poll(halves).toEqual([
      { n: 1, half: 0.5 },
      { n: 2, half: 1 },
    ]);
    expect(lastJson((await millrace(["dlq", "show", id, "--json", "--url", url])).stdout)).toMatchObject({
      state: "redriven",
    });
    expect((await millrace(["dlq", "redrive", id, "--url", url])).stdout).toContain("0 of 1 sent again");
    server.child.kill("SIGTERM");
    expect((await server.finished).code).toBe(0);

    const again = await millrace(["run", "graph.yaml", "--until-done", "--json"], { cwd });
    expect(lastJson(again.stdout)).toMatchObject({ messagesIn: 0, messagesOut: 0, deadLettered: 0 });
  }, 60_000);

  it("takes pushed messages, durably, and each idempotency key once", async () => {
    const cwd = folder("push", {
      "graph.yaml": `name: inbox
nodes:
  in:  { kind: source, from: "http:/in" }
  out: { kind: sink, input: in, to: "projection:inbox" }
`,
    });
    const { url } = await serve(cwd);
    const push = (body: string, key?: string): Promise<Response> =>
      fetch(`${url}/api/v1/graphs/inbox/push/in`, {
        method: "POST",
        headers: { "content-type": "application/json", ...(key === undefined ? {} : { "idempotency-key": key }) },
        body,
      });
    expect((await push('[{"a":1},{"a":2}]', "first-push")).status).toBe(200);
    expect((await push('[{"a":1},{"a":2}]', "first-push")).status).toBe(200);
    expect((await push('[{"a":3}]')).status).toBe(200);
    const rows = async (): Promise<unknown> =>
      (lastJson((await millrace(["projection", "query", "inbox", "--json", "--url", url])).stdout) as { rows: unknown })
        .rows;
    await expect.poll(rows).toEqual([{ a: 1 }, { a: 2 }, { a: 3 }]);
  });

  it("with a token takes changes only from those who have it: 4 for the others", async () => {
    const cwd = folder("token", { "graph.yaml": ORDERS, "orders.ndjson": "" });
    const env = { MILLRACE_TOKEN: "a-long-secret" };
    const server = start(["serve", "graph.yaml", "--port", "0", "--json"], { cwd, env });
    servers.push(server);
    const { url } = JSON.parse(await server.line(/^\{/)) as { url: string };
    const stop = ["graph", "stop", "orders", "--url", url];
    expect(await millrace(stop)).toMatchObject({ code: 4, stderr: expect.stringContaining("HTTP-UNAUTHORIZED") });
    expect(await millrace(stop, { env: { MILLRACE_TOKEN: "a-wrong-secret" } })).toMatchObject({ code: 4 });
    expect(await millrace(["graph", "ls", "--url", url])).toMatchObject({ code: 0 });
    expect(await millrace(stop, { env })).toMatchObject({ code: 0 });
    // What is not set and passed on arrives as an empty text.
    const empty = { MILLRACE_TOKEN: "", MILLRACE_EDGES: "", MILLRACE_LOG: "" };
    expect(await millrace(["serve", "graph.yaml", "--port", "0"], { cwd, env: empty })).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^CLI-USAGE MILLRACE_TOKEN is set, and empty/),
    });
  });

  it("leaves a port to whoever has it", async () => {
    const cwd = folder("taken", { "graph.yaml": ORDERS, "orders.ndjson": "" });
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
    const { port } = holder.address() as { port: number };
    try {
      const { code, stderr } = await millrace(["serve", "graph.yaml", "--port", String(port)], { cwd });
      expect(code).toBe(1);
      expect(stderr).toContain(`HOST-PORT port ${port} is taken by another process`);
      expect(existsSync(join(cwd, ".millrace"))).toBe(false);
    } finally {
      holder.close();
    }
  });

  it("suggests the name that was meant, and says what to do", async () => {
    const { url } = await serve(folder("names", { "graph.yaml": ORDERS, "orders.ndjson": ORDER_LINES }));
    const refused = async (...args: string[]): Promise<string> => (await millrace([...args, "--url", url])).stderr;
    expect(await refused("graph", "show", "order")).toMatch(
      /there is no graph order; did you mean `orders`\?\n {2}See what there is/,
    );
    expect(await refused("projection", "query", "large-order")).toContain("did you mean `large-orders`?");
    expect(await refused("dlq", "redrive", "7")).toContain("CLI-USAGE 7 is no id of a dead letter");
  });

  it("is named as the one to ask when its files are asked for", async () => {
    const cwd = folder("files", { "graph.yaml": ORDERS, "orders.ndjson": ORDER_LINES });
    await serve(cwd);
    const { code, stderr } = await millrace(["events", "ls", "--data", ".millrace"], { cwd });
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^HOST-RUNNING a running server has .*\n.*\n.*--url/)]);
  });

  it("says in its own log, and to the doctor, what makes it not ready", async () => {
    const cwd = folder("log", { "graph.yaml": FLAKY, "in.ndjson": '{"a":1}\n' });
    const { url, server } = await serve(cwd);
    await expect.poll(async () => (await fetch(`${url}/readyz`)).status).toBe(503);
    await server.errorLine(/not ready: graph flaky: .*out parked/);
    const { stdout } = await millrace(["doctor", "--data", cwd, "--port", new URL(url).port]);
    expect(stdout).toMatch(/^warning port .* not-ready; graph flaky: .*out parked/m);
  });

  it("refuses a second one on the same data", async () => {
    const cwd = folder("locked", { "graph.yaml": ORDERS, "orders.ndjson": "" });
    await serve(cwd);
    const { code, stderr } = await millrace(["projection", "ls", "--data", ".millrace"], { cwd });
    expect(code).toBe(2);
    expect(stderr).toContain("HOST-RUNNING");
  });

  it("ends in order at the first signal, with 130 when a person sent it", async () => {
    const cwd = folder("signal", { "graph.yaml": ORDERS, "orders.ndjson": "" });
    const { server } = await serve(cwd);
    server.child.kill("SIGINT");
    expect((await server.finished).code).toBe(130);
    const events = await millrace(["events", "ls", "--type", "GraphStopped", "--json", "--data", ".millrace"], { cwd });
    expect(lastJson(events.stdout)).toMatchObject({ events: [{ payload: { reason: "SIGINT" } }] });
  });
});

describe("doctor", () => {
  it("finds this machine fit, and leaves nothing behind", async () => {
    const cwd = folder("doctor", {});
    const { code, stdout } = await millrace(["doctor", "--json", "--port", "0"], { cwd });
    expect(code).toBe(0);
    const { ok, checks } = lastJson(stdout) as { ok: boolean; checks: { name: string }[] };
    expect(ok).toBe(true);
    expect(checks.map(({ name }) => name)).toEqual([
      "Node",
      "disk",
      "sync",
      "LMDB",
      "addon",
      "payloads",
      "port",
      "clock",
    ]);
    expect(existsSync(join(cwd, ".millrace"))).toBe(false);
  });
});
