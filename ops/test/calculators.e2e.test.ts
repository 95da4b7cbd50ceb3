/** Calculators of every language in graph files: how they are found, started, told, and refused. */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { limitMs } from "./faults/form.ts";
import { eventually, type Files, GraphFolder } from "./faults/graph-folder.ts";
import { root } from "./millrace.ts";

const skipPython = process.env.MILLRACE_SKIP_PYTHON !== undefined;
const skipJava = process.env.MILLRACE_SKIP_JAVA !== undefined;
const SECRET = "a secret of the host";

interface Case {
  readonly name: string;
  readonly node: string;
  readonly files: Files;
  /** What each of the rows 1, 2 and 3 gives. */
  readonly gives: readonly unknown[];
  /** What it says of itself, in the status of its node. */
  readonly details?: unknown;
  readonly skip?: boolean;
}

const CASES: readonly Case[] = [
  {
    name: "a TypeScript module in a process keeps state",
    node: "use: ./total.ts, isolation: process, config: { base: 10 }",
    files: {
      "total.ts": `let total = 0;
let base = 0;
export default {
  init(config: { base: number }) { base = config.base; total = base; },
  calculate: async ({ n }: { n: number }) => { await null; return { total: (total += n) }; },
  snapshot: () => total,
  restore(state: number | null) { total = state ?? base; },
};
`,
    },
    gives: [{ total: 11 }, { total: 13 }, { total: 16 }],
  },
  {
    name: "an export of a module, in a thread",
    node: "use: ./several.mjs, export: double",
    files: { "several.mjs": "export default () => 0;\nexport const double = ({ n }) => [n, 2 * n];\n" },
    gives: [1, 2, 2, 4, 3, 6],
  },
  {
    name: "an export of a module, in a process",
    node: "use: ./several.mjs, export: double, isolation: process",
    files: {},
    gives: [1, 2, 2, 4, 3, 6],
  },
  {
    name: "a script in a sandbox, in a thread",
    node: "use: ./boxed.ts, sandbox: true, config: { base: 10 }, limits: { load: 1m }",
    files: {
      "boxed.ts": `let base = 0;
export default {
  init(config: { base: number }): void { base = config.base; },
  details: () => ({ base }),
  calculate: async ({ n }: { n: number }, { node }: { node: string }) => [{ n: base + n, node }, typeof process],
};
`,
    },
    gives: [1, 2, 3].flatMap((n) => [{ n: 10 + n, node: "calc" }, "undefined"]),
    details: { base: 10 },
  },
  {
    name: "an export of a script in a sandbox, in a process, keeps state",
    node: "use: ./boxes.js, export: total, sandbox: true, isolation: process, limits: { load: 1m }",
    files: {
      "boxes.js": `let sum = 0;
export const total = { details: () => "a sum", calculate: ({ n }) => (sum += n), snapshot: () => sum, restore(state) { sum = state ?? 0; } };
`,
    },
    gives: [1, 3, 6],
    details: "a sum",
  },
  {
    name: "a Python function that imports its neighbour and yields",
    node: "use: ./plain.py",
    files: {
      "plain.py":
        "from beside import times\n\ndef calculate(row):\n    for k in range(row['n']):\n        yield times(row['n'], k)\n",
      "beside.py": "def times(a, b):\n    return {'product': a * b}\n",
    },
    gives: [[0], [0, 2], [0, 3, 6]].flat().map((product) => ({ product })),
    skip: skipPython,
  },
  {
    name: "a calculator of a Python file with several, in another interpreter",
    node: "use: ./several.py, export: Second, interpreter: ./bin/python",
    files: {
      "several.py": `import os
from millrace import Calculator

class First(Calculator):
    def calculate(self, row, context):
        return 1

class Second(Calculator):
    def calculate(self, row, context):
        return {"node": context.node, "by": os.environ["INTERPRETER"], "at": context.at > 1e12}
`,
    },
    gives: [1, 2, 3].map(() => ({ node: "calc", by: "wrapped", at: true })),
    skip: skipPython,
  },
  {
    name: "a process that knows no secret of the host",
    node: "use: ./environment.py",
    files: {
      "environment.py":
        "import os\n\ndef calculate(row):\n    return sorted(k for k in os.environ if 'MILLRACE' in k or 'SECRET' in k)\n",
    },
    gives: [],
    skip: skipPython,
  },
  {
    name: "a calculator of a jar with several",
    node: "use: ./several.jar, export: shop.Twice, deadline: 5s",
    files: {},
    gives: [{ twice: 2 }, { twice: 4 }, { twice: 6 }],
    skip: skipJava,
  },
  {
    name: "the only calculator that a jar offers",
    node: "use: ./several.jar, deadline: 5s",
    files: {},
    gives: ["once", "once", "once"],
    skip: skipJava,
  },
];

const JAVA = `package shop;
import dev.millrace.calculator.*;
import java.util.Map;

public class Twice extends Calculator<Map<String, Object>> {
  public Object calculate(Map<String, Object> row, Context context) {
    return Map.of("twice", (Long) row.get("n") * 2);
  }
  public static class Once extends Calculator<Object> {
    public Object calculate(Object row, Context context) {
      return "once";
    }
  }
}
`;

/** Two calculators, of which the jar offers one. */
function writeJar(folder: string): void {
  const work = join(folder, "jar");
  mkdirSync(join(work, "META-INF", "services"), { recursive: true });
  writeFileSync(join(folder, "Twice.java"), JAVA);
  const sdk = join(root, "native", "sdk", "java", "target", "millrace-calculator.jar");
  execFileSync("javac", ["-cp", sdk, "-d", work, join(folder, "Twice.java")]);
  writeFileSync(join(work, "META-INF", "services", "dev.millrace.calculator.Calculator"), "shop.Twice$Once\n");
  execFileSync("jar", ["cf", join(folder, "several.jar"), "-C", work, "."]);
}

function writeInterpreter(folder: string): void {
  mkdirSync(join(folder, "bin"), { recursive: true });
  writeFileSync(join(folder, "bin", "python"), '#!/bin/sh\nINTERPRETER=wrapped exec python3 "$@"\n');
  chmodSync(join(folder, "bin", "python"), 0o755);
}

describe("a graph runs", () => {
  let folder: GraphFolder;
  const said = new Map<string, unknown>();
  const graphOf = (node: string, name: string): string => `name: ${name}
nodes:
  in:   { kind: source, from: "file:./in.ndjson" }
  calc: { kind: calculator, input: in, ${node} }
  out:  { kind: sink, input: calc, to: "file:${name}.ndjson" }
`;

  beforeAll(async () => {
    const files = CASES.map((one, i) => ({ ...one.files, [`g${i}.yaml`]: graphOf(one.node, `g${i}`) }));
    folder = new GraphFolder(Object.assign({ "in.ndjson": '{"n":1}\n{"n":2}\n{"n":3}\n' }, ...files));
    writeInterpreter(folder.path);
    if (!skipJava) writeJar(folder.path);
    const graphs = CASES.flatMap(({ skip }, i) => (skip === true ? [] : [`g${i}`]));
    const server = await folder.serve(
      graphs.map((name) => `${name}.yaml`),
      { THE_SECRET: SECRET, MILLRACE_TOKEN: SECRET },
    );
    for (const graph of graphs) {
      await server.reaches(graph, "finished");
      const { nodes } = await server.status(graph);
      said.set(graph, nodes.find(({ node }) => node === "calc")?.details);
    }
    expect(await server.deadLetters()).toEqual([]);
    await server.stop();
  }, limitMs(180_000));
  afterAll(() => folder?.remove());

  it.for(CASES.map((one, i) => ({ ...one, i })))("$name", ({ skip, i, gives, details = null }, context) => {
    context.skip(skip === true, "its language is not here");
    expect(folder.rows(`g${i}.ndjson`)).toEqual(gives);
    expect(said.get(`g${i}`)).toMatchObject({ healthy: true, details });
  });
});

const REFUSED = [
  [
    "broken.py",
    "def calculate(row):\n    return row\n\nx = = 1\n",
    "",
    /broken\.py:4:1 CALC-LOAD .*SyntaxError/,
    skipPython,
  ],
  ["empty.py", "x = 1\n", "", /CALC-LOAD .*no @calculator/, skipPython],
  ["deep.py", "import nowhere\n", "", /deep\.py:1:1 CALC-LOAD .*nowhere/, skipPython],
  [
    "Broken.java",
    "public class Broken {\n  int x = ;\n}\n",
    "",
    /Broken\.java:2:1 CALC-LOAD .*illegal start/,
    skipJava,
  ],
  [
    "state.mjs",
    "export default { calculate: (r) => r, snapshot: () => 1 };\n",
    "",
    /CALC-LOAD .*isolation: process/,
    false,
  ],
  ["wrong.mjs", "export const a = 1;\n", ", export: b", /CALC-LOAD .*export `b` is no calculator/, false],
  ["calc.rb", "\n", "", /GRAPH-CALC nothing runs .*calc\.rb/, false],
] as const;

it.for(REFUSED)("%s is refused with its place", async ([file, source, options, message, skip], context) => {
  context.skip(skip, "its language is not here");
  const folder = new GraphFolder({
    [file]: source,
    "in.ndjson": "1\n",
    "graph.yaml": `name: g
nodes:
  in:   { kind: source, from: "file:./in.ndjson" }
  calc: { kind: calculator, input: in, use: ./${file}${options} }
  out:  { kind: sink, input: calc, to: "file:out.ndjson" }
`,
  });
  try {
    const { code, stderr } = await folder.run();
    expect(stderr).toMatch(message);
    expect([1, 2]).toContain(code);
  } finally {
    folder.remove();
  }
});

/** In the middle of its rows it takes away what it is started with, and is killed. */
const LEAVES = `import os
import signal

here = os.path.dirname(os.path.abspath(__file__))

def calculate(row):
    back, away = (os.path.join(here, "bin", name) for name in ("python", "gone"))
    once = os.path.join(here, "once")
    if row["n"] == 100 and not os.path.exists(once):
        open(once, "w").close()
        os.rename(back, away)
        os.kill(os.getpid(), signal.SIGKILL)
    return row
`;

it.skipIf(skipPython)(
  "a calculator that does not start any more waits, and goes on when it does",
  async () => {
    const folder = new GraphFolder({
      "in.ndjson": Array.from({ length: 200 }, (_, n) => `{"n":${n}}\n`).join(""),
      "leaves.py": LEAVES,
      "graph.yaml": `name: waits
nodes:
  in:   { kind: source, from: "file:./in.ndjson" }
  calc: { kind: calculator, input: in, use: ./leaves.py, interpreter: ./bin/python }
  out:  { kind: sink, input: calc, to: "file:out.ndjson" }
`,
    });
    try {
      writeInterpreter(folder.path);
      const server = await folder.serve();
      const node = async () => {
        const { nodes } = await server.status("waits");
        return nodes.find((one) => one.node === "calc");
      };
      await eventually(async () =>
        expect(await node()).toMatchObject({ state: "waiting", lastError: { code: "CALC-START" } }),
      );
      renameSync(join(folder.path, "bin", "gone"), join(folder.path, "bin", "python"));
      await server.reaches("waits", "finished");
      expect(await server.deadLetters()).toEqual([]);
      await server.stop();
      expect(folder.rows("out.ndjson")).toEqual(Array.from({ length: 200 }, (_, n) => ({ n })));
    } finally {
      rmSync(join(folder.path, "bin"), { recursive: true, force: true });
      folder.remove();
    }
  },
  limitMs(60_000),
);
