// biome-ignore-all lint/suspicious/noTemplateCurlyInString: graph files write references like that.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NODES_MAX } from "./limits.ts";
import type { GraphModel } from "./model.ts";
import { type ParseOptions, parseGraph } from "./parse.ts";
import { formatProblem } from "./problem.ts";

function problems(text: string | Uint8Array, options: ParseOptions = {}): readonly string[] {
  const result = parseGraph(text, { file: "g.yaml", ...options });
  return "problems" in result ? result.problems.map(formatProblem) : [];
}

function model(text: string | Uint8Array, options: ParseOptions = {}): GraphModel {
  const result = parseGraph(text, { file: "g.yaml", ...options });
  if ("graph" in result) return result.graph;
  throw new Error(result.problems.map(formatProblem).join("\n"));
}

/** A graph of the given nodes, one per line from line 3 on. */
const graphOf = (...nodes: readonly string[]): string =>
  `name: g\nnodes:\n${nodes.map((node) => `  ${node}`).join("\n")}\n`;

const SOURCE = 'in: { kind: source, from: "file:in.csv", time: at }';
const through = (node: string): string => graphOf(SOURCE, node, 'out: { kind: sink, input: it, to: "discard:" }');

describe("a graph file", () => {
  const flights = `
name: late-flights
description: Late flights by airport
durability: relaxed
defaults: { edge: { capacity: 100 }, mailbox: { capacity: 10, overflow: drop-oldest } }
supervision: { intensity: 2 }
nodes:
  board: { kind: sink, input: routed.late, to: "projection:board", mailbox: { capacity: 20 } }
  routed:
    kind: switch
    input: [hourly]
    cases: { late: "event.mean > 15.0", early: "event.mean < 0.0" }
    otherwise: rest
  flights: { kind: source, from: "file:./flights.parquet", time: date, watermark: 1h }
  hourly: { kind: window, input: flights, tumbling: 1h, by: { origin: event.origin }, compute: { mean: avg(event.delay) }, late: output }
  others: { kind: sink, input: [routed.early, routed.rest, hourly.late], to: "discard:", mode: state }
edges:
  "routed.late->board": { via: kafka, capacity: 7, overflow: conflate }
`;

  test("becomes nodes in the order in which messages pass them", () => {
    const { nodes, name, description, durability, supervision } = model(flights);
    expect({ name, description, durability }).toEqual({
      name: "late-flights",
      description: "Late flights by airport",
      durability: "relaxed",
    });
    expect([...nodes.keys()]).toEqual(["flights", "hourly", "routed", "board", "others"]);
    expect(nodes.get("routed")).toMatchObject({
      kind: "switch",
      ports: ["late", "early", "rest"],
      isCommitted: false,
      mode: "stream",
    });
    expect(nodes.get("hourly")).toMatchObject({ ports: ["out", "late"], isCommitted: true, timeField: "date" });
    expect(nodes.get("others")).toMatchObject({
      ports: [],
      mode: "state",
      mailbox: { capacity: 10, overflow: "drop-oldest" },
    });
    expect(nodes.get("board")?.mailbox).toEqual({ capacity: 20, overflow: "drop-oldest" });
    expect(supervision).toMatchObject({ strategy: "one_for_one", intensity: 2, periodMs: 30_000 });
  });

  test("becomes edges with ports, inputs and settings", () => {
    const { edges, nodes } = model(flights);
    expect(edges).toHaveLength(6);
    expect(edges).toContainEqual({
      from: "hourly",
      port: "late",
      to: "others",
      input: 2,
      via: "local",
      feedback: false,
      capacity: 100,
    });
    const late = {
      from: "routed",
      port: "late",
      to: "board",
      input: 0,
      via: "kafka",
      feedback: false,
      capacity: 7,
      overflow: "conflate",
    };
    expect(nodes.get("board")?.inputs).toEqual([late]);
    expect(nodes.get("routed")?.outputs.map((edge) => edge.to)).toEqual(["board", "others", "others"]);
  });

  test("keeps where nodes and their keys are written", () => {
    const { source } = model(flights);
    expect(source.node("routed")).toEqual({
      graph: "late-flights",
      node: "routed",
      path: "/nodes/routed",
      file: "g.yaml",
      line: 9,
      column: 3,
    });
    expect(source.node("routed", "cases", "early")).toMatchObject({
      line: 12,
      column: 49,
      path: "/nodes/routed/cases/early",
    });
  });

  test("may be JSON, with tabs and a byte order mark", () => {
    const json =
      '\uFEFF{\n\t"name": "g",\n\t"nodes": {\n\t\t"in": {"kind": "source", "from": "file:a.csv"},\n\t\t"out": {"kind": "sink", "input": "in", "to": "stdout:"}\n\t}\n}';
    expect([...model(json).nodes.keys()]).toEqual(["in", "out"]);
    expect([...model(new TextEncoder().encode(json)).nodes.keys()]).toEqual(["in", "out"]);
  });

  test("has one hash for one content, whatever its layout", () => {
    const { definitionHash, definition } = model(flights);
    expect(definitionHash).toMatch(/^[0-9a-f]{64}$/);
    expect(model(JSON.stringify(definition)).definitionHash).toBe(definitionHash);
    expect(model(flights.replace("1h, by", "60m, by")).definitionHash).not.toBe(definitionHash);
  });

  test("may repeat itself by anchors and merge keys", () => {
    const text = graphOf(
      'a: &s { kind: source, from: "file:a.csv", batch: 7 }',
      'b: { <<: *s, from: "file:b.csv" }',
      'out: { kind: sink, input: [a, b], to: "discard:" }',
    );
    expect(model(text).nodes.get("b")?.definition).toEqual({ kind: "source", from: "file:b.csv", batch: 7 });
  });

  test("takes values from the environment it is given, and keeps secrets as references", () => {
    const text = graphOf(
      'in: { kind: source, from: "file:${DIR:./data}/in.csv", batch: "${BATCH}" }',
      'out: { kind: sink, input: in, to: "https://${env:TOKEN}@example.org" }',
    );
    const { definition } = model(text, { env: { BATCH: "12" } });
    expect(definition.nodes).toMatchObject({
      in: { from: "file:./data/in.csv", batch: 12 },
      out: { to: "https://${env:TOKEN}@example.org" },
    });
    expect(problems(text)).toEqual(["g.yaml:3:65 GRAPH-REF ${BATCH} is not set and has no default"]);
    expect(problems(text, { env: { BATCH: "1" }, secretExists: () => false })).toEqual([
      "g.yaml:4:37 GRAPH-SECRET secret `env:TOKEN` does not exist",
    ]);
  });

  test("takes the event time of windows from upstream", () => {
    const timed = (time: string): string =>
      graphOf(
        'a: { kind: source, from: "file:a.csv", time: at }',
        `b: { kind: source, from: "file:b.csv", time: ${time} }`,
        "w: { kind: window, input: [a, b], tumbling: 1m, compute: { n: count() } }",
        "day: { kind: window, input: w, tumbling: 1d, compute: { n: sum(event.n) } }",
        'out: { kind: sink, input: day, to: "discard:" }',
      );
    expect(model(timed("at")).nodes.get("w")).toMatchObject({ timeField: "at" });
    expect(model(timed("at")).nodes.get("day")).toMatchObject({ timeField: "window_start" });
    expect(problems(timed("when"))).toEqual([
      "g.yaml:5:3 GRAPH-TIME the inputs of window `w` have their event time in `at` and `when`; set its `time`",
    ]);
  });
});

describe("the problems of a graph file", () => {
  test("come all at once, by line, with what was probably meant", () => {
    const text = `name: late flights
durabilty: durable
nodes:
  flights:    { kind: source, from: "files:./flights.parquet", watermark: 1x }
  late:       { kind: filtr, input: flights, where: "event.delay >= " }
  late2:
    kind: filter
    input: flihgts
    where: "event.\\"delay\\" >= 1"
  late3: { kind: filter, input: [late2, late2], wher: 5, where: event.delay + }
  hourly:
    kind: window
    input: late3
    tumbling: 1h30
    compute: { mean: average(event.x), all: sum(evnt.x) }
    to: x
  counted: { kind: calculator, input: hourly.late, use: "" }
  board:   { kind: sink, input: counted, to: "projection:departures" }
  board2:  { kind: sink, input: board, to: "projection:departures" }
  lonely:  { kind: map, input: late, set: { a: "delay > 1", b: "event.b ++ 1" } }
  5: { input: late }
  broken: 12
edges:
  "late2 -> lat3": { via: nast, capacity: 0 }
  late2 to late3: {}
tests:
  - given: { flightss: [ {} ] }
    expect: { boardd: [ {} ] }
`;
    expect(`${problems(text).join("\n")}\n`).toMatchInlineSnapshot(`
      "g.yaml:1:7 GRAPH-SCHEMA \`late flights\` is no name: a letter, then letters, digits, \`-\` or \`_\`
      g.yaml:2:1 GRAPH-SCHEMA unknown key \`durabilty\`; did you mean \`durability\`?
      g.yaml:4:37 GRAPH-SCHEMA unknown scheme \`files:\`; did you mean \`file:\`?
      g.yaml:4:64 GRAPH-TIME \`watermark\` needs the field with the event time; set \`time\`
      g.yaml:4:75 GRAPH-TIME \`1x\`: unknown unit \`x\`: d, h, m, s or ms
      g.yaml:5:23 GRAPH-SCHEMA unknown kind \`filtr\`; did you mean \`filter\`?
      g.yaml:8:12 GRAPH-REF there is no node \`flihgts\`; did you mean \`flights\`?
      g.yaml:9:19 GRAPH-EXPR Expected IDENTIFIER, got STRING
      g.yaml:10:41 GRAPH-DUP \`late2\` is an input already, at 10:34
      g.yaml:10:49 GRAPH-SCHEMA unknown key \`wher\` of a filter; did you mean \`where\`?
      g.yaml:10:78 GRAPH-EXPR Unexpected end of the expression
      g.yaml:11:3 GRAPH-REF nothing takes the output of \`hourly\`; connect it, or add a sink to discard:
      g.yaml:14:17 GRAPH-TIME \`1h30\`: the unit is missing: d, h, m, s or ms
      g.yaml:15:22 GRAPH-EXPR expected count(…), sum(…), avg(…), min(…), max(…); did you mean avg(…)?
      g.yaml:15:49 GRAPH-EXPR Unknown variable: evnt; did you mean \`event\`?
      g.yaml:16:5 GRAPH-SCHEMA unknown key \`to\` of a window; it belongs to sink
      g.yaml:17:39 GRAPH-REF \`hourly\` has no port \`late\`; give it \`late: output\`
      g.yaml:17:57 GRAPH-SCHEMA must not be empty
      g.yaml:19:33 GRAPH-REF \`board\` is a sink; nothing comes out of it
      g.yaml:19:44 GRAPH-DUP \`projection:departures\` is the target of \`board\` already, at 18:46
      g.yaml:20:3 GRAPH-REF nothing takes the output of \`lonely\`; connect it, or add a sink to discard:
      g.yaml:20:49 GRAPH-EXPR Unknown variable: delay; a field of the message is written \`event.delay\`
      g.yaml:20:74 GRAPH-EXPR Unexpected token: PLUS
      g.yaml:21:3 GRAPH-SCHEMA \`5\` is no name: a letter, then letters, digits, \`-\` or \`_\`
      g.yaml:21:3 GRAPH-SCHEMA \`kind\` of node \`5\` is missing: source, filter, map, enrich, window, calculator, switch, merge, sink
      g.yaml:22:11 GRAPH-SCHEMA expected a map, got 12
      g.yaml:24:3 GRAPH-REF there is no edge \`late2 -> lat3\`; did you mean \`late2 -> late3\`?
      g.yaml:24:27 GRAPH-SCHEMA unknown value "nast"; did you mean \`nats\`?
      g.yaml:24:43 GRAPH-SCHEMA must be at least 1
      g.yaml:25:3 GRAPH-SCHEMA \`late2 to late3\` names no edge; write \`from -> to\`
      g.yaml:27:14 GRAPH-REF there is no source \`flightss\`; did you mean \`flights\`?
      g.yaml:28:15 GRAPH-REF there is no sink \`boardd\`; did you mean \`board\`?
      "
    `);
  });

  test("refuse a discipline that no graph file can say enough of", () => {
    const text = `name: g
nodes:
  in:  { kind: source, from: "file:./a.ndjson" }
  out: { kind: sink, input: in, to: "discard:", mailbox: { discipline: priority } }
`;
    expect(problems(text)).toEqual([expect.stringMatching(/^g\.yaml:4:72 GRAPH-CAP `priority` needs ranks/)]);
  });

  test("refuse a name of a projection that no host would take", () => {
    const to = (name: string) => `name: g
nodes:
  in:  { kind: source, from: "file:./a.ndjson" }
  out: { kind: sink, input: in, to: "projection:${name}", key: [id] }
`;
    for (const name of ["Totals", "größe", "2nd", "a.b", "graphs", "dead-letters"])
      expect(problems(to(name))).toEqual([expect.stringMatching(/^g\.yaml:4:37 GRAPH-SCHEMA .* projection/)]);
    expect(problems(to("totals_2-b"))).toEqual([]);
  });

  test.each([
    ["truncated", '{"name": "g", "nodes": {"a": ', "g.yaml:1:30 GRAPH-SYNTAX Flow map must end with a }"],
    [
      "bad indentation",
      "name: g\n nodes: 1",
      "g.yaml:1:7 GRAPH-SYNTAX Nested mappings are not allowed in compact mappings",
    ],
    ["a repeated key", "name: g\nname: h\n", "g.yaml:2:1 GRAPH-SYNTAX key `name` is defined twice, first at 1:1"],
    ["two documents", "name: g\n---\nname: h\n", "GRAPH-SYNTAX"],
    ["a tag", "name: !!binary aGk=\n", "GRAPH-SYNTAX"],
    ["an undefined alias", "name: *nobody\n", "g.yaml:1:7 GRAPH-SYNTAX there is no anchor `nobody` before this"],
    ["a list as key", "name: g\n? [1, 2]\n: x\n", "g.yaml:2:3 GRAPH-SYNTAX a key must be a plain text"],
    [
      "infinity",
      "name: g\nnodes: .inf\n",
      "g.yaml:2:8 GRAPH-SYNTAX a graph file holds texts, numbers, true, false, null, lists and maps only",
    ],
    ["nothing", "", "g.yaml:1:1 GRAPH-SCHEMA expected a map, got nothing"],
    ["no nodes", "name: g\nnodes: {}\n", "g.yaml:2:8 GRAPH-SCHEMA needs at least one entry"],
  ])("name the place of %s", (_, text, problem) => {
    expect(problems(text).join("\n")).toContain(problem);
  });

  test.each([
    [
      "an expression in a map in braces",
      "name: g\nnodes: { m: { value: event.a ? 1 : 2 } }\n",
      "2:22 GRAPH-SYNTAX Block",
    ],
    ["an expression on a line of its own", "name: g\nvalue: event.a ? 1 : 2\n", "2:8 GRAPH-SYNTAX Nested"],
  ])("say that %s is written in quotes", (_, text, begin) => {
    const hint = "a text with `: ` in it, such as the expression `a ? b : c`, is written in quotes";
    expect(problems(text)).toEqual([expect.stringMatching(new RegExp(`^g\\.yaml:${begin} `))]);
    expect(problems(text)[0]?.endsWith(`: ${hint}`)).toBe(true);
  });

  test.each([
    ["a list in braces", "name: g\nnodes: { a:\n  - 1 }\n"],
    ["bad indentation", "name: g\n nodes: 1"],
  ])("say nothing of quotes about %s", (_, text) => {
    expect(problems(text).join()).toMatch(/GRAPH-SYNTAX/);
    expect(problems(text).join()).not.toContain("quotes");
  });

  test("name the place of bytes that are not UTF-8", () => {
    const bytes = new TextEncoder().encode("name: g\ndescription: caf\u00e9 ?\nnodes: {}\n");
    bytes[bytes.indexOf(63)] = 0xe9;
    expect(problems(bytes)).toEqual(["g.yaml:2:19 GRAPH-SYNTAX the file is not UTF-8 text"]);
  });

  test("name both places of a node that is defined twice", () => {
    expect(problems(graphOf(SOURCE, SOURCE))).toEqual([
      "g.yaml:4:3 GRAPH-DUP node `in` is defined twice, first at 3:3",
    ]);
  });

  test("name both places of two sinks with one target, however its path is spelt", () => {
    const text = graphOf(
      SOURCE,
      'a: { kind: sink, input: in, to: "file:out.csv" }',
      'b: { kind: sink, input: in, to: "file:./x/../out.csv" }',
    );
    expect(problems(text)).toEqual([
      "g.yaml:5:35 GRAPH-DUP `file:./x/../out.csv` is the target of `a` already, at 4:35",
    ]);
    expect(problems(text.replaceAll(/file:\S*out.csv/g, "stdout:"))).toEqual([]);
  });

  test("name the path of a cycle", () => {
    const text = graphOf(
      SOURCE,
      'a: { kind: filter, input: [in, c], where: "true" }',
      "b: { kind: calculator, input: a, use: ./b.ts }",
      "c: { kind: map, input: b, drop: [x] }",
      'out: { kind: sink, input: c, to: "discard:" }',
      'self: { kind: filter, input: [self, in], where: "true" }',
    );
    expect(problems(text)).toEqual([
      "g.yaml:4:34 GRAPH-CYCLE cycle a -> b -> c -> a; declare one of its edges `feedback: true`, or break it",
      "g.yaml:8:33 GRAPH-CYCLE cycle self -> self; declare one of its edges `feedback: true`, or break it",
    ]);
  });

  test("know the state that nodes have by the graph's defaults, and the nodes that log their results themselves", () => {
    const text = graphOf(
      SOURCE,
      'a: { kind: filter, input: [in, b], where: "true" }',
      'b: { kind: filter, input: a, where: "true" }',
      'out: { kind: sink, input: a, to: "discard:" }',
    );
    const settings = 'defaults: { mode: state }\nedges: { "b -> a": { feedback: true } }\n';
    expect([...model(text + settings).nodes.values()].map(({ isCommitted }) => isCommitted)).not.toContain(false);
    const own = (node: string): readonly string[] => problems(through(`it: { input: in, mode: state, ${node} }`));
    const calculator = "GRAPH-CAP `mode: state` needs a calculator that is `pure: true` and no service";
    expect(own('kind: calculator, use: "./a.ts"')).toEqual([`g.yaml:4:20 ${calculator}`]);
    expect(own('kind: calculator, use: "https://a.example/b", pure: true').join()).toContain(calculator);
    expect(own('kind: calculator, use: "./a.ts", pure: true')).toEqual([]);
    const joined = (table: string): readonly string[] =>
      own(`kind: enrich, table: "${table}", on: a, key: event.a, as: b`);
    expect(joined("projection:p")).toEqual(["g.yaml:4:20 GRAPH-CAP `mode: state` needs an enrich from a file"]);
    expect(joined("file:a.csv")).toEqual([]);
  });

  test("allow a cycle through a feedback edge and a node with state, and nothing less", () => {
    const loop = (calculator: string, edge: string): string =>
      `${graphOf(
        SOURCE,
        'a: { kind: filter, input: [in, b], where: "true" }',
        `b: { kind: calculator, input: a, use: ./b.ts${calculator} }`,
        'out: { kind: sink, input: b, to: "discard:" }',
      )}edges: { "${edge}": { feedback: true } }\n`;
    expect([...model(loop("", "b -> a")).nodes.keys()]).toEqual(["in", "a", "b", "out"]);
    expect(model(loop("", "b -> a")).edges.filter((edge) => edge.feedback)).toMatchObject([
      { from: "b", to: "a", input: 1 },
    ]);
    expect(problems(loop(", pure: true", "b -> a"))).toEqual([
      "g.yaml:4:34 GRAPH-CYCLE cycle a -> b -> a has no node with state, so that nothing in it ever becomes durable",
    ]);
    expect(problems(loop("", "in -> a"))).toEqual([
      "g.yaml:4:30 GRAPH-CYCLE `in -> a` is declared feedback but closes no cycle",
      "g.yaml:4:34 GRAPH-CYCLE cycle a -> b -> a; declare one of its edges `feedback: true`, or break it",
    ]);
  });

  test.each([
    ["it: { kind: map, input: in }", "4:3 GRAPH-SCHEMA a map needs `set`, `select`, `drop` or `value`"],
    ["it: { kind: map, input: in, value: event, drop: [a] }", "4:31 GRAPH-SCHEMA `value` replaces the whole message"],
    ["it: { kind: filter, input: in, where: event.a + 1 }", ""],
    [
      "it: { kind: filter, input: in, where: \"'a' + 'b'\" }",
      "4:41 GRAPH-EXPR expected true or false, but this is a string",
    ],
    ['it: { kind: filter, input: [], where: "true" }', "4:30 GRAPH-SCHEMA needs at least one entry"],
    ['it: { kind: filter, input: in.a, where: "true" }', "4:30 GRAPH-REF `in` has no port `a`; it has `in`"],
    [
      'it: { kind: switch, input: in, cases: { a: "true" } }',
      "5:29 GRAPH-REF `it` is a switch; name one of its ports: `it.a`",
    ],
    [
      'it: { kind: enrich, input: in, table: "t.csv", key: event.a, on: a, as: b }',
      "4:41 GRAPH-SCHEMA `t.csv` has no scheme; for a file write `file:t.csv`",
    ],
    [
      'it: { kind: enrich, input: in, table: "file:t.xls", key: event.a, on: a, as: b }',
      "4:41 GRAPH-SCHEMA the format of `t.xls` is not known by its name",
    ],
    [
      "it: { kind: calculator, input: in, use: midprce }",
      "4:43 GRAPH-CALC no calculator `midprce` is installed; did you mean `midprice`?",
    ],
    ["it: { kind: calculator, input: in, use: ./gone.ts }", "4:43 GRAPH-FILE there is no file `./gone.ts`"],
    [
      "it: { kind: calculator, input: in, use: ./a.ts, rest: { batch: 2 } }",
      "4:51 GRAPH-SCHEMA `rest` is for services: `use: https://…`",
    ],
    [
      'it: { kind: calculator, input: in, use: "https://a.example/x", pure: true }',
      "4:66 GRAPH-SCHEMA `pure` is for code that runs here; `use` is a service",
    ],
    [
      'it: { kind: calculator, input: in, use: "https://me:pw@a.example/x" }',
      "4:43 GRAPH-SCHEMA credentials belong under `rest.auth`, not into the address",
    ],
    [
      'it: { kind: calculator, input: in, use: "https://a.example/x", rest: { auth: { type: bearer, token: abc } } }',
      "4:103 GRAPH-SCHEMA a secret is never written into a graph: refer to it, ${env:NAME} or ${file:PATH}",
    ],
    [
      'it: { kind: calculator, input: in, use: "https://a.example/x", rest: { headers: { X-Api-Key: abc } } }',
      "4:96 GRAPH-SCHEMA a secret is never written into a graph: refer to it, ${env:NAME} or ${file:PATH}",
    ],
    [
      'it: { kind: calculator, input: in, use: "https://a.example/x", rest: { auth: { type: basic, user: me } } }',
      "4:74 GRAPH-SCHEMA auth of type `basic` needs `password`",
    ],
    [
      'it: { kind: calculator, input: in, use: "https://a.example/x", rest: { allow: [10.0.0.0/33] } }',
      "4:82 GRAPH-SCHEMA `10.0.0.0/33` is no network; write 127.0.0.0/8 or ::1/128",
    ],
    [
      "it: { kind: calculator, input: in, use: ./a.py, isolation: thread }",
      "4:51 GRAPH-SCHEMA `./a.py` can only run in a process of its own",
    ],
    [
      "it: { kind: calculator, input: in, use: ./A.java, pure: true }",
      "4:53 GRAPH-SCHEMA a pure calculator runs inline; what runs elsewhere is logged",
    ],
    [
      "it: { kind: calculator, input: in, use: ./a.ts, isolation: inline }",
      "4:51 GRAPH-SCHEMA only a calculator that is `pure: true` runs inline",
    ],
    [
      "it: { kind: calculator, input: in, use: ./a.py, sandbox: true }",
      "4:51 GRAPH-SCHEMA a sandbox runs .ts, .mts, .js and .mjs, and not `./a.py`",
    ],
    [
      "it: { kind: calculator, input: in, use: ./a.ts, pure: true, sandbox: true }",
      "4:63 GRAPH-SCHEMA a sandbox is in a thread or process, where a loop can be ended: take `pure` away",
    ],
    [
      "it: { kind: calculator, input: in, use: ./a.ts, interpreter: node }",
      "4:51 GRAPH-SCHEMA only a process has an interpreter: `isolation: process`",
    ],
    [
      "it: { kind: calculator, input: in, use: ./a.ts, pure: true, limits: { memoryMib: 64 } }",
      "4:63 GRAPH-SCHEMA a pure calculator runs inline, where nothing limits it",
    ],
    [
      "it: { kind: calculator, input: in, use: ./a.py, limits: { memoryMib: 1 } }",
      "4:72 GRAPH-SCHEMA must be at least 16",
    ],
    [
      "it: { kind: window, input: in, tumbling: -5m, compute: { n: count() } }",
      "4:44 GRAPH-TIME `-5m`: a duration cannot be negative",
    ],
    [
      "it: { kind: window, input: in, tumbling: 2560, compute: { n: count() } }",
      "4:44 GRAPH-SCHEMA expected a text, got 2560",
    ],
    ["it: { kind: window, input: in, hopping: { size: 1h, every: 15m }, compute: { n: count() } }", ""],
    [
      "it: { kind: window, input: in, compute: { n: count() } }",
      "4:3 GRAPH-SCHEMA window `it` needs `tumbling` or `hopping`",
    ],
    [
      "it: { kind: window, input: in, tumbling: 1h, hopping: { size: 1h, every: 15m }, compute: { n: count() } }",
      "4:48 GRAPH-SCHEMA windows are `tumbling` or `hopping`, not both",
    ],
    [
      "it: { kind: window, input: in, hopping: { size: 1h, every: 25m }, compute: { n: count() } }",
      "4:62 GRAPH-TIME `size` 1h is no multiple of `every` 25m",
    ],
    [
      "it: { kind: window, input: in, hopping: { size: 15m, every: 1h }, compute: { n: count() } }",
      "4:63 GRAPH-TIME `size` 15m is no multiple of `every` 1h",
    ],
    [
      "it: { kind: window, input: in, hopping: { size: 1h, every: 1s }, compute: { n: count() } }",
      "4:62 GRAPH-TIME 3600 windows would hold each message, which is more than 1000",
    ],
    [
      "it: { kind: window, input: in, hopping: { size: 1h }, compute: { n: count() } }",
      "4:34 GRAPH-SCHEMA key `every` is missing",
    ],
    [
      "it: { kind: window, input: in, hopping: { size: 1h, every: 0m }, compute: { n: count() } }",
      "4:62 GRAPH-TIME `0m`: a duration must be greater than 0",
    ],
    [
      'it: { kind: filter, input: in, where: "true", mailbox: { capacity: 1, conflateBy: event.a } }',
      "4:73 GRAPH-SCHEMA `conflateBy` goes with `overflow: conflate`",
    ],
    [
      'it: { kind: filter, input: in, where: "true", mode: batch }',
      '4:55 GRAPH-SCHEMA unknown value "batch": stream, state',
    ],
    ["it: { kind: filter, input: in }", "4:3 GRAPH-SCHEMA key `where` of node `it` is missing"],
    ["it: { input: in }", "4:3 GRAPH-SCHEMA `kind` of node `it` is missing: source, filter"],
  ])("include %s", (node, problem) => {
    const found = problems(through(node), { calculators: ["midprice"], fileExists: (path) => path === "in.csv" });
    if (problem === "") expect(found).toEqual([]);
    else expect(found.map((line) => line.slice(0, `g.yaml:${problem}`.length))).toContain(`g.yaml:${problem}`);
  });

  test.each([
    ['from: "file:gone.csv"', "3:27 GRAPH-FILE there is no file `gone.csv`"],
    ['from: "file:gone.csv", follow: true', ""],
    ['from: "file:in.cvs"', "3:27 GRAPH-SCHEMA the format of `in.cvs` is not known by its name; did you mean .csv?"],
    ['from: "file:in.parquet", follow: true', "3:46 GRAPH-CAP `follow`: a parquet file is complete when it is written"],
    ['from: "http:/in", speed: 10', "3:39 GRAPH-CAP `speed`: what is pushed is not told again"],
    ['from: "http:/in", secret: "${env:A} ${file:b.key}"', ""],
    ['from: "http:/in", secret: "whsec_abc"', "3:47 GRAPH-SCHEMA expected a reference"],
    ['from: "http:/in", secret: "${env:A}abc"', "3:47 GRAPH-SCHEMA expected a reference"],
    ['from: "file:in.csv", secret: "${env:A}"', "3:42 GRAPH-CAP `secret`: only HTTP requests are signed"],
    ['from: "http:in"', "3:27 GRAPH-SCHEMA expected a path of this server, as in http:/flights"],
    ['from: "metronome:1sec"', "3:38 GRAPH-TIME `1sec`: unknown unit `sec`"],
    ['from: "cron:* * *"', "3:27 GRAPH-TIME a cron schedule has 5 fields"],
    ['from: "telemetry:"', ""],
    ['from: "file:in.csv", speed: 0', "GRAPH-SCHEMA must be greater than 0"],
    ['from: "file:in.csv", speed: 2', "3:42 GRAPH-TIME `speed` needs the field with the event time; set `time`"],
  ])("include a source with %s", (source, problem) => {
    const text = graphOf(`a: { kind: source, ${source} }`, 'out: { kind: sink, input: a, to: "discard:" }');
    const found = problems(text.replace("  a:", " a:").replace("  out:", " out:"), {
      fileExists: (path) => path.startsWith("in."),
    });
    if (problem === "") expect(found).toEqual([]);
    else expect(found.join("\n")).toContain(problem);
  });

  test("include a sink that would replace what is in no file", () => {
    expect(problems(graphOf(SOURCE, 'out: { kind: sink, input: in, to: "file:out.csv", replace: true }'))).toEqual([]);
    expect(problems(graphOf(SOURCE, 'out: { kind: sink, input: in, to: "stdout:", replace: true }'))).toEqual([
      expect.stringMatching(/^g\.yaml:4:48 GRAPH-CAP `replace`: only the content/),
    ]);
  });

  test("include fields that no message has any more, as far as that is known", () => {
    const text = graphOf(
      SOURCE,
      "w: { kind: window, input: in, tumbling: 1h, by: { origin: event.origin }, compute: { mean_delay: avg(event.delay) } }",
      'late: { kind: filter, input: w, where: "event.meandelay > 5 && event.window_end != null" }',
      'named: { kind: enrich, input: late, table: "file:t.csv", key: event.airport, on: iata, as: airport }',
      "kept: { kind: map, input: named, set: { x: event.airport.name }, select: [x, orign] }",
      "day: { kind: window, input: kept, tumbling: 1d, compute: { n: count(), y: max(event.y) }, time: window_start }",
      'odd: { kind: filter, input: [w, in], where: "event.anything > 1" }',
      'careful: { kind: filter, input: w, where: "has(event.extra) && event.extra > 1" }',
      'out: { kind: sink, input: [day, odd, careful], to: "discard:" }',
    );
    expect(problems(text)).toEqual([
      "g.yaml:5:43 GRAPH-TYPE messages that arrive here have no field `meandelay`; did you mean `mean_delay`?",
      "g.yaml:6:65 GRAPH-TYPE messages that arrive here have no field `airport`; they have `origin`, `window_start`, `window_end`, `mean_delay`",
      "g.yaml:7:80 GRAPH-TYPE messages that arrive here have no field `orign`; did you mean `origin`?",
      "g.yaml:8:81 GRAPH-TYPE messages that arrive here have no field `y`; they have `x`, `orign`",
      "g.yaml:8:99 GRAPH-TYPE messages that arrive here have no field `window_start`; they have `x`, `orign`",
    ]);
  });

  test("include a window over a source without event time", () => {
    const text = graphOf(
      'in: { kind: source, from: "http:/in" }',
      "w: { kind: window, input: in, tumbling: 1m, compute: { n: count() } }",
      'out: { kind: sink, input: w, to: "discard:" }',
    );
    expect(problems(text)).toEqual([
      "g.yaml:4:3 GRAPH-TIME window `w` needs an event time, but source `in` has no `time`",
    ]);
  });

  test.each([
    ["plain", "where: event.delay >= + 1", 23],
    ["double-quoted with escapes", 'where: "event[\\"a\\u0062\\"] >= + 1"', 31],
    ["single-quoted", "where: 'event[''ab''] >= + 1'", 26],
    ["a block", "where: |\n      event.delay >=\n        + 1", 9],
  ])("point into an expression that is %s", (_, where, column) => {
    const text = `name: g\nnodes:\n  in: { kind: source, from: "file:in.csv" }\n  it:\n    kind: filter\n    input: in\n    ${where}\n  out: { kind: sink, input: it, to: "discard:" }\n`;
    const line = 7 + where.split("\n").length - 1;
    expect(problems(text)).toEqual([
      `g.yaml:${line}:${column + (line === 7 ? 4 : 0)} GRAPH-EXPR Unexpected token: PLUS`,
    ]);
  });
});

test("what no host could run is known before: a folder, a file elsewhere, a language, a name", () => {
  const said = (source: string, sink: string, use = "./a.ts"): string =>
    problems(
      graphOf(
        `in: { kind: source, from: "file:${source}", format: csv }`,
        `it: { kind: calculator, input: in, use: "${use}" }`,
        `out: { kind: sink, input: it, to: "file:${sink}", format: csv }`,
      ),
    ).join("\n");
  for (const folder of ["", ".", "..", "/", "./a/", "a/.."]) {
    expect(said(folder, "b.csv")).toMatch(/^g\.yaml:3:\d+ GRAPH-SCHEMA this names a folder, [^\n]+$/);
    expect(said("a", folder)).toMatch(/^g\.yaml:5:\d+ GRAPH-SCHEMA this names a folder, [^\n]+$/);
  }
  expect(said("../a", "b/../../c")).toMatch(
    /^g\.yaml:5:\d+ GRAPH-SCHEMA `b\/\.\.\/\.\.\/c` leaves the output folder; [^\n]+$/,
  );
  expect(said("a", "b", "./a.rb")).toMatch(/^g\.yaml:4:\d+ GRAPH-CALC nothing runs `\.\/a\.rb`: [^\n]+$/);
  expect(said("../a..", "/b/../..c")).toBe("");
  expect(problems(through('it: { kind: filter, input: in, where: "true" }').replace("name: g", "name: graph"))).toEqual(
    ["g.yaml:1:7 GRAPH-SCHEMA a graph cannot be called `graph`; its nodes' streams would be taken for graphs"],
  );
});

describe("what is merged into a map", () => {
  const merging = (f: string): string => graphOf(SOURCE, f, 'out: { kind: sink, input: it, to: "discard:" }');

  test("is a map, and nothing that would be passed over", () => {
    const message =
      "GRAPH-SYNTAX `<<` merges a map, or a list of maps: write the alias of an anchor, as in `<<: *base`";
    const rest = 'kind: filter, input: in, where: "true"';
    for (const [written, column] of [
      ["base", 13],
      ["", 13],
      ["[{}, 5]", 18],
    ] as const)
      expect(problems(merging(`it: { <<: ${written}, ${rest} }`))).toEqual([`g.yaml:4:${column} ${message}`]);
  });

  test("has its mistakes shown where they are written, and none where it is written over", () => {
    const base = 'a: &b { kind: source, from: "file:${GONE}.csv", bogus: 1 }';
    const text = graphOf(
      base,
      'c: { <<: [*b], from: "file:c.csv" }',
      'out: { kind: sink, input: [a, c], to: "discard:" }',
    );
    expect(problems(text)).toEqual(["g.yaml:3:31 GRAPH-REF ${GONE} is not set and has no default"]);
    expect(problems(text, { env: { GONE: "a" } }).map((line) => line.slice(0, 36))).toEqual([
      "g.yaml:3:51 GRAPH-SCHEMA unknown key",
      "g.yaml:3:51 GRAPH-SCHEMA unknown key",
    ]);
  });

  test("is counted, also where everything is there already", () => {
    const levels = Array.from({ length: 8 }, (_, i) => `m${i}: &m${i} { <<: [${`*m${i - 1}, `.repeat(9)}] }`);
    const text = `m: &m-1 { k: 1 }\n${levels.join("\n")}\n`;
    expect(problems(text)[0]).toContain("GRAPH-LIMIT aliases expand to more than");
    expect(problems("a: &a { <<: *a }\n").join()).toMatch(/GRAPH-/);
  });
});

test("a place in a block of text is the same whatever ends its lines, and before blank lines", () => {
  const text = `${graphOf(SOURCE)}  it:\n    kind: filter\n    input: in\n    where: |\n\n      true &&\n  \n      event.n >< 1\n  out: { kind: sink, input: it, to: "discard:" }\n`;
  const expected = ["g.yaml:11:16 GRAPH-EXPR Unexpected token: LT"];
  expect(problems(text)).toEqual(expected);
  expect(problems(text.replaceAll("\n", "\r\n"))).toEqual(expected);
});

describe("a graph file beyond the limits", () => {
  const bomb = `name: g\nnodes: &a0 [x]\n${Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join(", ")}]`).join("\n")}\n`;
  const nodes = (n: number): string =>
    `name: g\nnodes:\n${Array.from({ length: n }, (_, i) => ` n${i}: {}`).join("\n")}\n`;
  test.each([
    ["an alias bomb", bomb, "aliases expand to more than 120000 values"],
    ["an alias of itself", "name: g\nnodes: &a { b: *a }\n", "GRAPH-LIMIT values are nested more than 64 deep"],
    ["100 000 nodes", nodes(100_000), "GRAPH-LIMIT the file is larger than 1024 KiB"],
    ["more nodes than there may be", nodes(NODES_MAX + 1), `GRAPH-LIMIT the graph has more than ${NODES_MAX} nodes`],
    ["10 MB", `name: ${"x".repeat(10 * 1024 * 1024)}`, "g.yaml:1:1 GRAPH-LIMIT the file is larger than 1024 KiB"],
    [
      "lists 10 000 deep",
      `name: ${"[".repeat(10_000)}${"]".repeat(10_000)}`,
      "g.yaml:1:71 GRAPH-LIMIT values are nested more than 64 deep",
    ],
    ["marks 10 000 deep", `name:\n  ${"- ".repeat(10_000)}x`, "GRAPH-LIMIT values are nested more than 64 deep"],
    [
      "indentation 700 deep",
      Array.from({ length: 700 }, (_, i) => `${" ".repeat(i)}a:`).join("\n"),
      "GRAPH-LIMIT values are nested more than 64 deep",
    ],
    ["half a million values", `name: [${"1,".repeat(500_000)}]`, "GRAPH-LIMIT the file has more than 500000 tokens"],
  ])("is refused: %s", (_, text, problem) => {
    expect(problems(text).join("\n")).toContain(problem);
  });

  test("is refused before it takes memory", () => {
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 5; i++) problems(bomb);
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
  });

  test("is not reached by 10 000 nodes in a row", () => {
    const chain = Array.from(
      { length: 10_000 },
      (_, i) => `n${i + 1}: { kind: filter, input: n${i}, where: event.a > ${i} }`,
    );
    const { nodes: all } = model(
      graphOf(
        'n0: { kind: source, from: "file:a.csv" }',
        ...chain,
        'out: { kind: sink, input: n10000, to: "discard:" }',
      ),
    );
    expect(all.size).toBe(10_002);
    expect([...all.keys()].at(-1)).toBe("out");
  });

  test("a wrong name in each of 10 000 nodes is reported in each", () => {
    const wrong = Array.from({ length: 10_000 }, (_, i) => `n${i}: { kind: filter, input: m${i}, where: "true" }`);
    expect(problems(graphOf(...wrong)).filter((problem) => problem.includes("there is no node"))).toHaveLength(10_000);
  });
});

describe("any text", () => {
  test("gives a graph or at least one problem, sorted by place, and never throws", () => {
    const token = fc.constantFrom(
      "name: g\n",
      "nodes:\n",
      "  a: ",
      "{ kind: sink }",
      "kind: ",
      "source",
      "\n",
      " ",
      "- ",
      "[",
      "]",
      "{",
      "}",
      '"',
      "'",
      "&x ",
      "*x",
      "<<: ",
      "? ",
      ": ",
      "|\n",
      "event.a",
      "${A}",
      "#",
      "!!str ",
      "\t",
      "1h",
      "edges:\n",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(token, { maxLength: 30 }).map((parts) => parts.join("")),
          fc.string(),
        ),
        (text) => {
          const result = parseGraph(text);
          if ("graph" in result) return;
          expect(result.problems.length).toBeGreaterThan(0);
          const lines = result.problems.map((problem) => problem.line ?? 0);
          expect(lines).toEqual([...lines].sort((a, b) => a - b));
        },
      ),
      { numRuns: 1000 },
    );
  });
});
