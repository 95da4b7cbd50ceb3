/** Calculators in processes of their own that do what no calculator should, each beside rows that pass. */
import { readdirSync, readFileSync } from "node:fs";
import type { DeadLetter } from "@millrace/engine";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { millrace } from "../millrace.ts";
import { expectBalance } from "./balance.ts";
import { BYSTANDER, Bystanders } from "./bystanders.ts";
import { limitMs } from "./form.ts";
import { eventually, GraphFolder, type Server } from "./graph-folder.ts";

/** What a row asks its calculator to do, as a Python statement. */
const ACTS = {
  good: "pass",
  "raises an error": 'raise ValueError("out of order")',
  "recurses without end": "recurse()",
  "loops for ever": "while True: pass",
  "sleeps for ever": "time.sleep(1000)",
  "ignores that it is asked to end": "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)",
  "leaks memory": "kept = [bytes(10**7) for _ in range(10**6)]",
  "leaves a process behind": `subprocess.Popen(["sleep", "1000.${process.pid}"])`,
  exits: "sys.exit(3)",
  "exits at once": 'os.write(2, b"farewell"); os._exit(4)',
  aborts: "os.abort()",
  "kills itself": "os.kill(os.getpid(), signal.SIGKILL)",
  "floods its output": "flood()",
  "returns a set": "return {1, 2}",
  "returns too large a number": "return {'n': 2**60}",
  "speaks rubbish": "channel()._socket.sendall(b'\\xff' * 100)",
  "claims a frame without end": "channel()._socket.sendall(b'\\xff\\xff\\xff\\x7f\\x07')",
  "answers too much": "channel().send('result', {'id': batch()['id'], 'from': 0, 'out': [[1]] * 5000, 'end': False})",
  "answers nothing": "channel().send('result', {'id': batch()['id'], 'from': 0, 'out': [], 'end': True})",
  "answers out of order": "channel().send('result', {'id': batch()['id'], 'from': 7, 'out': [[1]], 'end': False})",
  "answers another batch": "channel().send('result', {'id': 10**6, 'from': 0, 'out': [[1]], 'end': True})",
  "takes more credit than there is": "channel().send('credit', {'rows': 10**9})",
  "closes its socket": "channel()._socket.close()",
} as const;

type Act = keyof typeof ACTS;

const FAILS: readonly (readonly [Act, code: string, words: RegExp])[] = [
  ["raises an error", "CALC-THREW", /ValueError: out of order/],
  ["recurses without end", "CALC-THREW", /RecursionError/],
  ["loops for ever", "CALC-TIMEOUT", /after \d+ ms/],
  ["sleeps for ever", "CALC-TIMEOUT", /after \d+ ms/],
  ["ignores that it is asked to end", "CALC-TIMEOUT", /after \d+ ms/],
  ["leaks memory", "CALC-OOM", /memory/],
  ["exits", "CALC-EXIT", /exit code 3/],
  ["exits at once", "CALC-EXIT", /exit code 4; its last words: .*farewell/s],
  ["aborts", "CALC-EXIT", /SIGABRT/],
  ["kills itself", "CALC-EXIT", /SIGKILL/],
  ["returns a set", "CALC-RESULT", /a set at its root/],
  ["returns too large a number", "CALC-RESULT", /2\^53 at \/n/],
  ["speaks rubbish", "CALC-PROTOCOL", /a frame of \d+ bytes/],
  ["claims a frame without end", "CALC-PROTOCOL", /a frame of \d+ bytes/],
  ["answers too much", "CALC-PROTOCOL", /5000 results for 1 rows/],
  ["answers nothing", "CALC-PROTOCOL", /0 results for 1 rows/],
  ["answers out of order", "CALC-PROTOCOL", /from row 7 instead of 0/],
  ["answers another batch", "CALC-PROTOCOL", /batch 1000000 instead of/],
  ["takes more credit than there is", "CALC-PROTOCOL", /credit/],
  ["closes its socket", "CALC-EXIT", /SIGKILL|exit code/],
];

const PASSES: readonly Act[] = ["floods its output", "leaves a process behind"];

const CALCULATOR = `import gc, os, signal, subprocess, sys, time
from millrace import Calculator
from millrace.frame import Channel

def channel():
    return next(o for o in gc.get_objects() if isinstance(o, Channel))

def batch():
    frame = sys._getframe()
    while frame.f_code.co_name != "_batch":
        frame = frame.f_back
    return frame.f_locals["batch"]

def recurse():
    return recurse() + 1

def flood():
    for _ in range(5000):
        print("x" * 200)
        print("y" * 200, file=sys.stderr)

${Object.values(ACTS)
  .map((code, i) => `def act_${i}(row):\n    ${code}\n    return {"n": row["n"]}\n`)
  .join("\n")}
class Hostile(Calculator):
    def calculate(self, row, context):
        return globals()["act_%d" % row["act"]](row)

    def details(self):
        return {"acts": ${Object.keys(ACTS).length}}
`;

const NAMES = Object.keys(ACTS) as Act[];
/** Each act between two good rows. */
const ROWS = NAMES.flatMap((act): Act[] => [act, "good"]).map((act, n) => ({ n, act: NAMES.indexOf(act) }));

const GRAPH = `name: hostile
nodes:
  in:   { kind: source, from: "file:./in.ndjson" }
  calc:
    kind: calculator
    input: in
    use: ./hostile.py
    deadline: 600ms
    limits: { memoryMib: 64, cpu: 1m }
  out:  { kind: sink, input: calc, to: "file:out.ndjson" }
`;

const BURNING = `name: burning
nodes:
  in:   { kind: source, from: "file:./burn.ndjson" }
  calc: { kind: calculator, input: in, use: ./burn.py, deadline: 30s, limits: { cpu: 300ms } }
  out:  { kind: sink, input: calc, to: "file:burn.ndjson" }
`;

const BURN = `def calculate(row):
    while row["n"] == 2:
        pass
    return row
`;

describe.skipIf(process.env.MILLRACE_SKIP_PYTHON !== undefined)("a calculator in a process that", () => {
  let folder: GraphFolder;
  let server: Server;
  let letters: readonly DeadLetter[];
  let burnt: readonly DeadLetter[];
  let details: Readonly<Record<string, unknown>>;
  let bystanders: Bystanders | undefined;
  let share: number;

  const numberOf = (act: Act): number => ROWS.findIndex((row) => NAMES[row.act] === act);
  const passed = (): readonly number[] => folder.rows<{ readonly n: number }>("out.ndjson").map(({ n }) => n);
  const letterOf = (act: Act): DeadLetter | undefined =>
    letters.find(({ input }) => (input as { readonly n: number }).n === numberOf(act));

  beforeAll(async () => {
    folder = new GraphFolder({
      "bystander.yaml": BYSTANDER,
      "hostile.yaml": GRAPH,
      "hostile.py": CALCULATOR,
      "burning.yaml": BURNING,
      "burn.py": BURN,
      "burn.ndjson": '{"n":1}\n{"n":2}\n{"n":3}\n',
      "in.ndjson": ROWS.map((row) => JSON.stringify(row)).join("\n"),
    });
    bystanders = await Bystanders.start();
    server = await folder.serve(["bystander.yaml", "hostile.yaml", "burning.yaml"]);
    await bystanders.watch(server);
    await eventually(async () => expect(passed()).toHaveLength(ROWS.length - FAILS.length), 120_000);
    await server.reaches("burning", "finished");
    share = await bystanders.share();
    const all = await server.deadLetters();
    letters = all.filter(({ graph }) => graph === "hostile");
    burnt = all.filter(({ graph }) => graph === "burning");
    const { nodes } = await server.status("hostile");
    details = nodes.find(({ node }) => node === "calc")?.details as Readonly<Record<string, unknown>>;
  }, limitMs(150_000));

  afterAll(async () => {
    await bystanders?.stop();
    await server?.stop();
    folder?.remove();
  });

  it.each(FAILS)("%s gives a dead letter %s with its reason; its neighbours pass", (act, code, words) => {
    const letter = letterOf(act);
    expect(letter).toMatchObject({ graph: "hostile", node: "calc", error: { code } });
    expect(letter?.error.message).toMatch(words);
    expect(passed()).not.toContain(numberOf(act));
    expect(passed()).toContain(numberOf(act) + 1);
  });

  it("raises gives the line of its file", () => {
    const line = CALCULATOR.split("\n").findIndex((text) => text.includes("out of order")) + 1;
    expect(letterOf("raises an error")?.error.place?.line).toBe(line);
  });

  it("ends its process is tried again before it is given up", () => {
    expect(letterOf("aborts")?.attempts).toBe(3);
    expect(letterOf("raises an error")?.attempts).toBe(1);
  });

  it.each(PASSES)("%s is bounded, and its row passes", (act) => {
    expect(letterOf(act)).toBeUndefined();
    expect(passed().filter((n) => n === numberOf(act))).toHaveLength(1);
  });

  it("burns its processor gives a dead letter with its limit; its neighbours pass", () => {
    expect(burnt.map(({ error, input }) => [error.code, input])).toEqual([["CALC-CPU", { n: 2 }]]);
    expect(burnt[0]?.error.message).toContain("300 ms");
    expect(folder.rows("burn.ndjson")).toEqual([{ n: 1 }, { n: 3 }]);
  });

  it("does any of it loses no row, and keeps the order of those that pass", () => {
    expectBalance({ rowsIn: ROWS.length, rowsOut: passed().length, deadLetters: letters.length });
    expect(passed()).toEqual(passed().toSorted((a, b) => a - b));
  });

  it("does any of it slows nobody else down: a graph beside it keeps four fifths of its rate", () => {
    expect(share).toBeGreaterThanOrEqual(0.8);
  });

  it("was replaced says so in the status of its node", async () => {
    expect(details).toMatchObject({ isolation: "process", healthy: true, details: { acts: NAMES.length } });
    const processActs = FAILS.filter(([, code]) => !["CALC-THREW", "CALC-RESULT"].includes(code)).length;
    expect(details.failures).toBeGreaterThanOrEqual(processActs);
    expect(details.restarts).toBeGreaterThanOrEqual(processActs);
    expect(details.pid).toEqual(expect.any(Number));
    const { stdout } = await millrace(["graph", "show", "hostile", "--url", server.url]);
    expect(stdout).toMatch(
      /^calc: isolation process, healthy true, pid \d+, .*restarts \d+, .*details \{"acts":\d+\}$/m,
    );
  });

  it("leaves nothing behind when its host has stopped", async () => {
    await server.stop();
    const running = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    const commands = running.map((pid) => commandOf(pid));
    expect(commands.filter((command) => command.includes(`1000.${process.pid}`))).toEqual([]);
    expect(running).not.toContain(String(details.pid));
  });
});

/** Empty for one that has gone meanwhile. */
function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}
