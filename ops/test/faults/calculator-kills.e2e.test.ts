/** A stateful calculator's process, or its host, killed at random moments: what comes out is what an undisturbed run gives. */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { SeededRandom } from "@millrace/engine/testing";
import { describe, expect, it } from "vitest";
import { limitMs, times } from "./form.ts";
import { eventually, GraphFolder } from "./graph-folder.ts";

const ROWS = 1500;
const PROCESS_KILLS = times(2, 5);
const HOST_KILLS = times(1, 3);

const GRAPH = `name: totals
nodes:
  in:  { kind: source, from: "file:./in.ndjson" }
  sum: { kind: calculator, input: in, use: ./total.py, deadline: 30s, limits: { attempts: 20 } }
  out: { kind: sink, input: sum, to: "file:out.ndjson" }
`;

/** While this file is there the last row is not done. */
const HOLD = "hold";

/** Slow enough to be met at work: half a millisecond a row. */
const CALCULATOR = `import os, time
from millrace import Calculator

HOLD = os.path.join(os.path.dirname(__file__), "${HOLD}")

class Total(Calculator):
    def init(self, config):
        self.totals = {}

    def calculate(self, row, context):
        time.sleep(0.0005)
        while row["n"] == ${ROWS - 1} and os.path.exists(HOLD):
            time.sleep(0.01)
        key = str(row["n"] % 7)
        self.totals[key] = self.totals.get(key, 0) + row["n"]
        if row["n"] % 500 == 250:
            raise ValueError("a row that must leave no trace")
        return {"n": row["n"], "total": self.totals[key]}

    def snapshot(self):
        return self.totals

    def restore(self, state):
        self.totals = dict(state)
`;

const isRefused = (n: number): boolean => n % 500 === 250;

function expected(): readonly unknown[] {
  const totals = new Map<number, number>();
  return Array.from({ length: ROWS }, (_, n) => n).flatMap((n) => {
    if (isRefused(n)) return [];
    const total = (totals.get(n % 7) ?? 0) + n;
    totals.set(n % 7, total);
    return [{ n, total }];
  });
}

function folderOf(): GraphFolder {
  const rows = Array.from({ length: ROWS }, (_, n) => `{"n":${n}}\n`);
  return new GraphFolder({ "graph.yaml": GRAPH, "total.py": CALCULATOR, "in.ndjson": rows.join("") });
}

/** Command lines of this machine's processes that hold a text. */
function commandsWith(text: string): readonly string[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const commands = pids.map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8");
    } catch {
      // It has gone meanwhile.
      return "";
    }
  });
  return commands.filter((command) => command.includes(text));
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe.skipIf(process.env.MILLRACE_SKIP_PYTHON !== undefined)(
  "state and outputs are those of an undisturbed run",
  () => {
    it(
      "when the calculator's process is killed",
      async () => {
        const folder = folderOf();
        folder.write({ [HOLD]: "" });
        try {
          const random = new SeededRandom(7);
          const server = await folder.serve();
          const details = async (): Promise<Readonly<Record<string, unknown>>> => {
            const { nodes } = await server.status("totals");
            return nodes.find(({ node }) => node === "sum")?.details as Readonly<Record<string, unknown>>;
          };
          const killed = new Set<number>();
          while (killed.size < PROCESS_KILLS) {
            await pause(20 + (random.u32() % 150));
            const { pid, healthy } = await details();
            // Its host may not have noticed yet that one is dead.
            if (healthy !== true || typeof pid !== "number" || killed.has(pid)) continue;
            if (killed.size === 0) expect(commandsWith(join(folder.path, "total.py"))).not.toEqual([]);
            process.kill(pid, "SIGKILL");
            killed.add(pid);
          }
          rmSync(join(folder.path, HOLD));
          await server.reaches("totals", "finished");
          expect((await details()).failures).toBeGreaterThan(0);
          const letters = await server.deadLetters();
          expect(letters.map(({ input }) => (input as { readonly n: number }).n)).toEqual([250, 750, 1250]);
          await server.stop();
          expect(folder.rows("out.ndjson")).toEqual(expected());
        } finally {
          folder.remove();
        }
      },
      limitMs(90_000),
    );

    it(
      "when its host is killed",
      async () => {
        const folder = folderOf();
        try {
          const random = new SeededRandom(11);
          for (let kills = 0; kills < HOST_KILLS; kills++) {
            const { child, finished } = folder.begin();
            await Promise.race([finished, pause(600 + (random.u32() % 700))]);
            child.kill("SIGKILL");
            await finished;
            await eventually(async () => expect(commandsWith(join(folder.path, "total.py"))).toEqual([]));
          }
          await folder.finish();
          expect(folder.rows("out.ndjson")).toEqual(expected());
          expect(await folder.deadLetters()).toHaveLength(3);
        } finally {
          folder.remove();
        }
      },
      limitMs(90_000),
    );
  },
);
