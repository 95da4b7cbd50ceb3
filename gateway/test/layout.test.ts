/** What the console's canvas computes before it draws. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { layered } from "../console/src/canvas/layers.ts";
import { rowsOf } from "../console/src/canvas/rows.ts";
import { spread } from "../console/src/canvas/spread.ts";
import { nodeSource, sublineOf } from "../console/src/node-source.ts";
import { FLIGHTS_FILE } from "./demo-host.ts";

const links = fc.integer({ min: 2, max: 30 }).chain((nodes) =>
  fc.record({
    nodes: fc.constant(nodes),
    links: fc.array(fc.record({ from: fc.nat(nodes - 1), to: fc.nat(nodes - 1) }), { maxLength: 60 }),
  }),
);

describe("layers of a graph", () => {
  it("hold each node once, and every edge without a cycle goes forward through each layer", () => {
    fc.assert(
      fc.property(links, (graph) => {
        const acyclic = graph.links.filter(({ from, to }) => from < to);
        const { places, layers, routes } = layered(graph.nodes, acyclic);
        expect(layers.flat().sort((a, b) => a - b)).toEqual([...places.keys()]);
        for (const [index, route] of routes.entries()) {
          expect([route[0], route.at(-1)]).toEqual([acyclic[index]?.from, acyclic[index]?.to]);
          const first = places[route[0] as number]?.layer as number;
          expect(route.map((place) => places[place]?.layer)).toEqual(route.map((_, step) => first + step));
        }
      }),
    );
  });

  it("are found for graphs with feedback too", () => {
    fc.assert(
      fc.property(links, (graph) => {
        const { layers } = layered(graph.nodes, graph.links);
        expect(new Set(layers.flat().filter((place) => place < graph.nodes)).size).toBe(graph.nodes);
      }),
    );
  });
});

describe("placement on a line", () => {
  it("keeps order and distances, and no single move of a group makes it better", () => {
    const wish = fc.integer({ min: -200, max: 200 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(wish, fc.integer({ min: 1, max: 60 })), { minLength: 1, maxLength: 12 }),
        (items) => {
          const wishes = items.map(([one]) => one);
          const gaps = items.slice(1).map(([, gap]) => gap);
          const placed = spread(wishes, gaps);
          const cost = (at: readonly number[]): number =>
            at.reduce((sum, y, i) => sum + (y - (wishes[i] as number)) ** 2, 0);
          const isLegal = (at: readonly number[]): boolean =>
            gaps.every((gap, i) => (at[i + 1] as number) - (at[i] as number) >= gap - 1e-6);
          expect(isLegal(placed)).toBe(true);
          for (let from = 0; from < placed.length; from++) {
            for (let to = from + 1; to <= placed.length; to++) {
              for (const move of [-0.5, 0.5]) {
                const moved = placed.map((y, i) => (i >= from && i < to ? y + move : y));
                if (isLegal(moved)) expect(cost(moved)).toBeGreaterThanOrEqual(cost(placed) - 1e-6);
              }
            }
          }
        },
      ),
    );
  });
});

describe("rows", () => {
  const chain = (length: number): ReturnType<typeof layered> =>
    layered(
      length,
      Array.from({ length: length - 1 }, (_, i) => ({ from: i, to: i + 1 })),
    );
  const columns = (length: number) => Array.from({ length }, (_, i) => ({ from: i * 200, to: i * 200 + 120 }));
  const heights = (length: number) => Array.from({ length }, () => ({ from: -28, to: 28 }));

  it("fold a chain that is too wide, and leave one that fits", () => {
    const wide = rowsOf(chain(8), columns(8), heights(8), { width: 900, height: 500 });
    expect(new Set(wide.rowOf).size).toBe(2);
    expect(wide.width).toBeLessThanOrEqual(900);
    const fitting = rowsOf(chain(4), columns(4), heights(4), { width: 900, height: 500 });
    expect(fitting.rowOf).toEqual([0, 0, 0, 0]);
  });
});

describe("the graph file of a node", () => {
  it("is its entry with everything below it", () => {
    expect(nodeSource(FLIGHTS_FILE, "by-airport")).toMatch(
      /^by-airport:.*tumbling: 1h[\s\S]*worst: max\(event.delay\)/,
    );
    expect(nodeSource(FLIGHTS_FILE, "nope")).toBe("");
  });

  it.each([
    ["flights", "source", "source · flights-3m.parquet"],
    ["late", "filter", "delay >= 15"],
    ["located", "enrich", "enrich · airports.csv"],
    ["by-airport", "window", "window · 1h"],
    ["scored", "calculator", "calculator · score.ts"],
    ["board", "sink", "projection · departures"],
    ["file", "sink", "file · departures.ndjson"],
    ["nope", "map", "map"],
  ])("says what %s does", (node, kind, said) => {
    expect(sublineOf(FLIGHTS_FILE, node, kind)).toBe(said);
  });

  it("says how long windows are that hop", () => {
    const file = "nodes:\n  recent: { kind: window, input: in, hopping: { size: 1h, every: 15m } }\n";
    expect(sublineOf(file, "recent", "window")).toBe("window · 1h");
  });
});
