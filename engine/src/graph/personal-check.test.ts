import { describe, expect, it } from "vitest";
import { parseGraph } from "./parse.ts";

const problemsOf = (source: string, sink = 'to: "discard:"'): string[] => {
  const text = `name: g\nnodes:\n  in: { kind: source, ${source} }\n  out: { kind: sink, input: in, ${sink} }\n`;
  const parsed = parseGraph(text, { file: "g.yaml", env: {} });
  return "problems" in parsed ? parsed.problems.map(({ code, message }) => `${code} ${message}`) : [];
};
const PERSONAL = "personal: { subject: who, fields: [mail, seen] }";

describe("personal fields of a graph file", () => {
  it("are taken at sources from outside, and opened at sinks that lead there", () => {
    expect(problemsOf(`from: "http:/in", ${PERSONAL}`, 'to: "file:x.ndjson", reveal: true')).toEqual([]);
  });

  it.each([
    ["own source", `from: "metronome:1s", ${PERSONAL}`, undefined, /GRAPH-CAP .*no personal data/],
    ["event time", `from: "file:in.csv", time: seen, ${PERSONAL}`, undefined, /GRAPH-CAP .*`seen` is the event time/],
    ["payload", `from: "http:/in", payload: { mail: raw }, ${PERSONAL}`, undefined, /GRAPH-CAP .*`mail` is a payload/],
    ["no fields", 'from: "http:/in", personal: { subject: who, fields: [] }', undefined, /GRAPH-SCHEMA/],
    ["no subject", 'from: "http:/in", personal: { fields: [mail] }', undefined, /GRAPH-SCHEMA/],
    ["kept sink", 'from: "http:/in"', 'to: "projection:p", key: [id], reveal: true', /GRAPH-CAP .*stays sealed/],
  ])("are refused where they cannot be: %s", (_what, source, sink, message) => {
    expect(problemsOf(source, sink).join("\n")).toMatch(message);
  });
});
