/**
 * What no calculator should do, as modules for a thread and as Python for a process. Each is good while the file `FLAG` is not there, so that
 * a host can be measured with it and without, without a change of anything else.
 */

/** JavaScript, as the body of a function of a row: `pile` is for what it keeps. */
const IN_THREAD = {
  loops: "for (;;);",
  leaksHeap: "for (;;) pile.push(new Array(1000).fill(pile.length));",
  leaksBuffers: "for (;;) pile.push(Buffer.alloc(1 << 20, 1));",
  exits: "process.exit(3);",
  floods: 'for (;;) { console.log("x".repeat(200)); console.error("y".repeat(200)); await turn(); }',
  rubbish: 'for (;;) parentPort.postMessage({ type: "rubbish", pile: "z".repeat(200) });',
  tooMuch: 'return Array.from({ length: 20_000 }, (_, n) => ({ n, text: "much".repeat(20) }));',
  nothing: "return new Promise(() => undefined);",
};

const IN_PROCESS = {
  loops: "while True: pass",
  leaksHeap: "while True: pile.append([len(pile)] * 1000)",
  leaksBuffers: "while True: pile.append(bytearray(b'1') * (1 << 20))",
  aborts: "os.abort()",
  segfaults: "ctypes.string_at(0)",
  exits: "os._exit(3)",
  floods: "flood()",
  rubbish: "rubbish()",
  tooMuch: "answer([[{'n': n, 'text': 'much' * 20}] for n in range(20000)])",
  nothing: "answer([])",
};

export const KINDS = { thread: IN_THREAD, process: IN_PROCESS };

/** Of these the rows pass. */
export const PASSES = new Set(["thread tooMuch"]);

const moduleOf = (code, flag) => `import { existsSync } from "node:fs";
import { parentPort } from "node:worker_threads";
const pile = [];
const turn = () => new Promise((resolve) => setImmediate(resolve));
export default async (row) => {
  if (!existsSync(${JSON.stringify(flag)})) return row;
  ${code}
};
`;

const programOf = (code, flag) => `import ctypes, gc, os, sys
from millrace.frame import Channel

pile = []

def channel():
    return next(o for o in gc.get_objects() if isinstance(o, Channel))

def answer(out):
    frame = sys._getframe()
    while frame.f_code.co_name != "_batch":
        frame = frame.f_back
    channel().send("result", {"id": frame.f_locals["batch"]["id"], "from": 0, "out": out, "end": True})

def rubbish():
    to = channel()
    while True:
        to.send("pong", {"n": 0})

def flood():
    while True:
        os.write(1, b"x" * 65536)
        os.write(2, b"y" * 65536)

def calculate(row):
    if not os.path.exists(${JSON.stringify(flag)}):
        return row
    ${code}
    return row
`;

/** Name and text of a calculator's file. */
export function calculatorFile(isolation, kind, flag) {
  const code = KINDS[isolation][kind];
  return isolation === "thread" ? ["hostile.mjs", moduleOf(code, flag)] : ["hostile.py", programOf(code, flag)];
}
