// biome-ignore-all lint/suspicious/noTemplateCurlyInString: graph files write references like that.
import { expect, test } from "vitest";
import { graph } from "./builder.ts";
import { parseGraph } from "./parse.ts";
import { formatProblem } from "./problem.ts";

const text = (source: string, enrich: string, sink: string): string => `name: g
nodes:
  in: { kind: source, ${source} }
  row: { kind: enrich, input: in, key: event.id, on: id, as: row, ${enrich} }
  out: { kind: sink, input: row, ${sink} }
`;

function problemsOf(source: string, enrich = 'table: "file:t.csv"', sink = 'to: "discard:"'): string {
  const parsed = parseGraph(text(source, enrich, sink), { file: "g.yaml" });
  return "problems" in parsed ? parsed.problems.map(formatProblem).join("\n") : "";
}

test("sources, tables and sinks of CSV say what separates cells and of what type they are, as the builder does", () => {
  const parsed = parseGraph(
    text(
      String.raw`from: "file:a.txt", format: csv, delimiter: "\t", types: { zip: text, n: number }`,
      'table: "file:t.csv", delimiter: "${D:;}", types: { id: text }',
      'to: "file:o.csv", delimiter: "|"',
    ),
  );
  const built = graph("g")
    .source("in", { from: "file:a.txt", format: "csv", delimiter: "\t", types: { zip: "text", n: "number" } })
    .enrich("row", { key: "event.id", on: "id", as: "row", table: "file:t.csv", delimiter: ";", types: { id: "text" } })
    .sink("out", { to: "file:o.csv", delimiter: "|" })
    .build();
  expect(parsed).toMatchObject({ graph: { definition: built.definition, definitionHash: built.definitionHash } });
});

test.each([
  'from: "file:in.tsv", types: { a: boolean }',
  'from: "file:in", format: csv, delimiter: "§"',
  'from: "s3://shop/x?delimiter=|", types: { a: text }',
  'from: "s3://${env:ID}:${env:KEY}@shop/x?format=csv&delimiter=%09"',
])("%s is accepted", (source) => {
  expect(problemsOf(source, 'table: "file:t.CSV"', 'to: "s3://shop/y?format=csv&delimiter=;"')).toBe("");
});

test.each([
  [
    'from: "file:a.csv", delimiter: ";;"',
    'g.yaml:3:54 GRAPH-SCHEMA ";;" is no delimiter: expected one character, and no letter, digit, quote, line end, ".", "+" or "-"; did you mean `";"`?',
  ],
  [
    'from: "file:a.csv", delimiter: \\t',
    '3:54 GRAPH-SCHEMA "\\\\t" is no delimiter: expected one character, and no letter, digit, quote, line end, ".", "+" or "-"; did you mean `"\\t"`?',
  ],
  ['from: "file:a.csv", delimiter: "\\n"', '3:54 GRAPH-SCHEMA "\\n" is no delimiter'],
  [`from: "file:a.csv", delimiter: '"'`, '3:54 GRAPH-SCHEMA "\\"" is no delimiter'],
  ['from: "file:a.csv", delimiter: "."', '3:54 GRAPH-SCHEMA "." is no delimiter'],
  [
    'from: "file:a.csv", delimeter: ";"',
    "3:43 GRAPH-SCHEMA unknown key `delimeter` of a source; did you mean `delimiter`?",
  ],
  ['from: "file:a.csv", types: { id: txt }', '3:56 GRAPH-SCHEMA unknown value "txt"; did you mean `text`?'],
  ['from: "file:a.csv", types: { id: string }', '3:56 GRAPH-SCHEMA unknown value "string": text, number, boolean'],
  ['from: "file:a.ndjson", delimiter: ";"', "3:46 GRAPH-CAP `delimiter`: only CSV has cells, and this is ndjson"],
  [
    'from: "file:a.csv", format: json, types: { id: text }',
    "3:57 GRAPH-CAP `types`: only CSV has cells, and this is json",
  ],
  ['from: "kafka://h/t", types: { id: text }', "3:44 GRAPH-CAP `types`: only CSV has cells, and kafka: has no CSV"],
  ['from: "s3://shop/x", delimiter: ";"', "3:44 GRAPH-CAP `delimiter`: say it in the address, as in `?delimiter=;`"],
  [
    'from: "s3://shop/x?format=json", types: { id: text }',
    "3:56 GRAPH-CAP `types`: only CSV has cells, and this is json",
  ],
])("%s is refused", (source, problem) => {
  expect(problemsOf(source)).toContain(problem);
});

test("a table of a projection and a sink of lines have no cells", () => {
  const problems = problemsOf(
    'from: "file:a.csv"',
    'table: "projection:p", types: { id: text }',
    'to: "file:o.ndjson", delimiter: ";"',
  );
  expect(problems).toBe(
    "g.yaml:4:90 GRAPH-CAP `types`: only CSV has cells, and projection: has no CSV\n" +
      "g.yaml:5:55 GRAPH-CAP `delimiter`: only CSV has cells, and this is ndjson",
  );
});
