// biome-ignore-all lint/suspicious/noTemplateCurlyInString: graph files write references like that.
import { describe, expect, test } from "vitest";
import { MillraceError } from "../errors.ts";
import { graph } from "./builder.ts";
import { formatGraph } from "./format.ts";
import type { GraphModel } from "./model.ts";
import { parseGraph } from "./parse.ts";

const YAML = `
name: late-flights
nodes:
  flights:    { kind: source, from: "file:./flights.parquet", time: date, watermark: 1h }
  late:       { kind: filter, input: flights, where: "event.delay >= 15" }
  located:    { kind: enrich, input: late, table: "file:./airports.csv", key: event.origin, on: iata, as: airport }
  by-airport: { kind: window, input: located, tumbling: 1h, by: { origin: event.origin },
                compute: { flights: count(), mean_delay: avg(event.delay), worst: max(event.delay) } }
  scored:     { kind: calculator, input: by-airport, use: ./score.ts }
  board:      { kind: sink, input: scored, to: "projection:departures" }
  alerts:     { kind: sink, input: scored, to: "kafka://127.0.0.1:9092/late-flights" }
edges:
  "late -> located": { via: nats, capacity: 8192 }
tests:
  - given: { flights: [ { date: "2001-01-01T00:00:00Z", delay: 20, origin: ORD } ] }
    expect: { board: [ { origin: ORD, flights: 1 } ] }
`;

function built(): GraphModel {
  const lateFlights = graph("late-flights");
  lateFlights
    .source("flights", { from: "file:./flights.parquet", time: "date", watermark: "1h" })
    .filter("late", { where: "event.delay >= 15" })
    .enrich(
      "located",
      { table: "file:./airports.csv", key: "event.origin", on: "iata", as: "airport" },
      { via: "nats", capacity: 8192 },
    )
    .window("by-airport", {
      tumbling: "1h",
      by: { origin: "event.origin" },
      compute: { flights: "count()", mean_delay: "avg(event.delay)", worst: "max(event.delay)" },
    })
    .calculator("scored", { use: "./score.ts" })
    .sink("board", { to: "projection:departures" })
    .sink("alerts", { to: "kafka://127.0.0.1:9092/late-flights" });
  lateFlights.test({
    given: { flights: [{ date: "2001-01-01T00:00:00Z", delay: 20, origin: "ORD" }] },
    expect: { board: [{ origin: "ORD", flights: 1 }] },
  });
  return lateFlights.build();
}

function parsed(text: string): GraphModel {
  const result = parseGraph(text);
  if ("problems" in result) throw new Error(JSON.stringify(result.problems));
  return result.graph;
}

/** All of a model but the places in a file, which only one of the two has. */
const content = ({ source: _, ...rest }: GraphModel): Omit<GraphModel, "source"> => rest;

describe("a graph built in code", () => {
  test("is the same model as its file", () => {
    expect(content(built())).toEqual(content(parsed(YAML)));
    expect([...built().nodes.keys()]).toEqual([...parsed(YAML).nodes.keys()]);
  });

  test("survives being written to a file and read again", () => {
    const text = formatGraph(built().definition, { schemaUrl: "./graph.schema.json" });
    expect(text.split("\n", 1)[0]).toBe("# yaml-language-server: $schema=./graph.schema.json");
    expect(content(parsed(text))).toEqual(content(built()));
  });

  test("keeps texts that look like references when it is written to a file", () => {
    const { definition } = graph("g")
      .source("in", { from: "file:a.csv", description: "${HOME} and $${x}" })
      .sink("out", { to: "https://${env:TOKEN}@x.org" })
      .build();
    expect(parsed(formatGraph(definition)).definition).toEqual(definition);
  });

  test("reaches ports, merges and feedback", () => {
    const g = graph("g", { durability: "relaxed" });
    const all = g.merge("all", [
      g.source("a", { from: "http:/a" }),
      g.source("b", { from: "telemetry:" }),
      g.output("again"),
    ]);
    const routed = all.switch("routed", { cases: { big: "event.n > 10" }, otherwise: "rest" });
    const again = routed.port("rest").calculator("again", { use: "./again.ts" });
    g.edge(again, "all", { feedback: true });
    const { edges, durability } = routed.port("big").sink("out", { to: "stdout:" }).build();
    expect(durability).toBe("relaxed");
    expect(edges).toContainEqual({ from: "routed", port: "big", to: "out", input: 0, via: "local", feedback: false });
    expect(edges).toContainEqual({ from: "again", port: "out", to: "all", input: 2, via: "local", feedback: true });
  });

  test("is refused with all its problems", () => {
    const build = (): GraphModel =>
      graph("g")
        .source("in", { from: "file:in.csv" })
        .filter("late", { where: "event.delay >=" })
        .sink("out", { to: "nowhere:" })
        .build();
    expect(build).toThrow(MillraceError);
    expect(build).toThrow(
      "g /nodes/late/where GRAPH-EXPR Unexpected end of the expression\ng /nodes/out/to GRAPH-SCHEMA unknown scheme `nowhere:`",
    );
  });

  test("refuses a name that is taken", () => {
    const g = graph("g");
    g.source("in", { from: "file:in.csv" });
    expect(() => g.source("in", { from: "file:in.csv" })).toThrow("node `in` is defined twice");
  });

  test("has types that follow the schema", () => {
    const g = graph("g");
    // @ts-expect-error `where` is missing
    g.source("a", { from: "file:a.csv" }).filter("b", {});
    // @ts-expect-error there is no such format
    g.source("c", { from: "file:a", format: "xls" });
    const kinds = [...built().nodes.values()].map((node) =>
      node.kind === "filter" ? node.definition.where : node.kind,
    );
    expect(kinds[1]).toBe("event.delay >= 15");
  });
});
