/** Every SDK is held to the same bytes (native/sdk/vectors): frames, and conversations of a calculator that each language has. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Json, type StateEvent, WORKER_SOCKET } from "@millrace/engine";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeFrame, type Frame, FrameError, FrameReader, packedBytes } from "./frame.ts";
import { nodeWorkerArgs } from "./process-calculator.ts";

const sdk = join(import.meta.dirname, "..", "..", "..", "..", "native", "sdk");
const read = (name: string): unknown => JSON.parse(readFileSync(join(sdk, "vectors", name), "utf8"));

interface Vector {
  readonly name: string;
  readonly hex: string;
}
const vectors = read("frames.json") as {
  readonly frames: readonly (Vector & { readonly is: Frame["is"]; readonly body: Json })[];
  readonly values: readonly (Vector & { readonly value: Json })[];
  readonly read: readonly (Vector & { readonly value: Json })[];
  readonly refused: readonly Vector[];
};

/** JSON has no bytes: `{ $bytes: hex }` stands for them. */
function unwritten(written: Json): StateEvent {
  if (typeof written !== "object" || written === null) return written;
  if (Array.isArray(written)) return (written as readonly Json[]).map(unwritten);
  const fields = written as Readonly<Record<string, Json>>;
  if (typeof fields.$bytes === "string") return new Uint8Array(Buffer.from(fields.$bytes, "hex"));
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, unwritten(value)]));
}

const frameOf = (is: string, body: Json): Frame => ({ ...(unwritten(body) as object), is }) as Frame;
/** The other way. */
function plain(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("hex") };
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

/** `{ id: null, state: <the value> }`, around a value that is already msgpack. */
function stateFrame(value: string): string {
  const body = `82a26964c0a57374617465${value}`;
  const head = Buffer.alloc(5);
  head.writeUInt32LE(body.length / 2 + 1);
  head[4] = 10;
  return head.toString("hex") + body;
}

describe("frames of the host", () => {
  it.each(vectors.frames)("$name", ({ is, body, hex }) => {
    expect(Buffer.from(encodeFrame(frameOf(is, body))).toString("hex")).toBe(hex);
    const reader = new FrameReader();
    const found = Array.from(Buffer.from(hex, "hex"), (byte) => [...reader.read(Uint8Array.of(byte))]);
    expect(found.slice(0, -1).flat()).toEqual([]);
    expect(found.at(-1)?.map(plain)).toEqual([{ ...(body as object), is }]);
  });

  it("come out of one piece as out of many", () => {
    const all = Buffer.concat(vectors.frames.map(({ hex }) => Buffer.from(hex, "hex")));
    expect([...new FrameReader().read(all)].map(({ is }) => is)).toEqual(vectors.frames.map(({ is }) => is));
  });

  it.each([...vectors.values, ...vectors.read])("hold $name", ({ value, hex }) => {
    const [frame] = [...new FrameReader().read(Buffer.from(stateFrame(hex), "hex"))];
    expect(plain(frame)).toEqual({ is: "state", id: null, state: value });
  });

  it.each(vectors.values)("are written shortest: $name", ({ value, hex }) => {
    expect(packedBytes(unwritten(value) as Json)).toBe(hex.length / 2);
  });

  it.each(vectors.refused)("are not: $name", ({ hex }) => {
    expect(() => [...new FrameReader().read(Buffer.from(hex, "hex"))]).toThrow(FrameError);
  });
});

interface Talk {
  readonly host?: string;
  readonly worker?: string;
  readonly body?: Json;
  readonly end?: number;
}
const conversations = read("conversations.json") as {
  readonly welcome: Json;
  readonly ready: object;
  readonly conversations: readonly { readonly name: string; readonly talk: readonly Talk[] }[];
};

const jar = join(sdk, "java", "target", "millrace-calculator.jar");

interface Language {
  readonly name: string;
  /** What it says of itself, where that is not its name. */
  readonly lang?: string;
  readonly command: readonly string[];
  readonly file: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What is thrown knows its line. Default true. */
  readonly knowsPlaces?: boolean;
  readonly skip: string | undefined;
}
const LANGUAGES: readonly Language[] = [
  { name: "Node", command: [process.execPath, ...nodeWorkerArgs()], file: "counter.mjs", skip: undefined },
  {
    name: "Python",
    command: ["python3", "-m", "millrace"],
    env: { PYTHONPATH: join(sdk, "python"), PYTHONDONTWRITEBYTECODE: "1" },
    file: "counter.py",
    skip: process.env.MILLRACE_SKIP_PYTHON,
  },
  {
    name: "Java",
    command: ["java", "-cp", jar, "dev.millrace.calculator.Worker"],
    file: "Counter.java",
    skip: process.env.MILLRACE_SKIP_JAVA,
  },
  {
    name: "Rust",
    lang: "native",
    command: [join(sdk, "..", "millrace-calculator-host")],
    file: "counter.rs.so",
    skip: process.env.MILLRACE_SKIP_RUST,
  },
  {
    name: "C",
    lang: "native",
    command: [join(sdk, "..", "millrace-calculator-host")],
    file: "counter.c.so",
    skip: process.env.MILLRACE_SKIP_RUST,
  },
  {
    name: "C++",
    lang: "native",
    command: [join(sdk, "..", "millrace-calculator-host")],
    file: "counter.cpp.so",
    knowsPlaces: false,
    skip: process.env.MILLRACE_SKIP_RUST ?? process.env.MILLRACE_SKIP_CXX,
  },
];

/** The calculators that are compiled: where each is afterwards. */
const COMPILED: Readonly<Record<string, (folder: string) => string>> = {
  "counter.rs.so": () => {
    const workspace = join(sdk, "..");
    const args = ["build", "--release", "--locked", "--offline", "--package=counter-calculator"];
    const env = { ...process.env, CARGO_TARGET_DIR: join(workspace, "target") };
    execFileSync("cargo", args, { cwd: workspace, env, stdio: "pipe" });
    return join(workspace, "target", "release", "libcounter_calculator.so");
  },
  "counter.c.so": (folder) => library(folder, "cc", "-std=c99", "counter.c"),
  "counter.cpp.so": (folder) => library(folder, "c++", "-std=c++17", "counter.cpp"),
};

function library(folder: string, compiler: string, standard: string, source: string): string {
  const so = join(folder, "counter.so");
  const flags = [standard, "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC"];
  execFileSync(compiler, [...flags, "-o", so, join(sdk, "vectors", source)], { stdio: "pipe" });
  return so;
}

/** A worker and what it says, frame by frame. */
class Peer {
  readonly child: ChildProcess;
  readonly #reader = new FrameReader();
  readonly #said: Frame[] = [];
  #socket: Socket | undefined;
  #heard: () => void = () => undefined;

  constructor(language: Language, folder: string) {
    const path = join(folder, `${language.name}.socket`);
    const server = createServer((socket) => {
      this.#socket = socket;
      server.close();
      socket.on("data", (bytes) => {
        this.#said.push(...this.#reader.read(bytes));
        this.#heard();
      });
    }).listen(path);
    const [command = "", ...args] = language.command;
    const env = { ...process.env, ...language.env, [WORKER_SOCKET]: path };
    this.child = spawn(command, args, { env, stdio: ["ignore", "inherit", "inherit"] });
    this.child.once("exit", () => this.#heard());
  }

  say(is: string, body: Json): void {
    this.#socket?.write(encodeFrame(frameOf(is, body)));
  }

  /** The next frame; results that came in parts, because they took long, in one. */
  async answer(): Promise<Frame> {
    let frame = await this.next();
    while (frame.is === "result" && !frame.end) {
      const rest = await this.next();
      if (rest.is !== "result") throw new Error(`${rest.is} in the middle of results`);
      expect([rest.id, rest.from]).toEqual([frame.id, frame.from + frame.out.length]);
      const counts = Object.fromEntries(PART_COUNTS.flatMap((name) => summed(name, frame, rest)));
      frame = { ...rest, ...counts, from: frame.from, out: [...frame.out, ...rest.out] };
    }
    return frame;
  }

  async next(): Promise<Frame> {
    while (this.#said.length === 0) {
      const { exitCode, signalCode } = this.child;
      if (exitCode !== null || signalCode !== null) throw new Error(`it ended with ${exitCode ?? signalCode}`);
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
    return this.#said.shift() as Frame;
  }
}

/** What a result says of its own part. */
const PART_COUNTS = ["opens", "copies"] as const;

function summed(name: string, ...parts: readonly object[]): [name: string, sum: number][] {
  const counts = parts.flatMap((part) => (part as Readonly<Record<string, number>>)[name] ?? []);
  return counts.length === 0 ? [] : [[name, counts.reduce((sum, count) => sum + count)]];
}

/** How each language writes frames that it has read. */
const ECHOES = [
  {
    name: "Python",
    command: [
      "python3",
      "-c",
      `
import sys
from millrace import frame
for line in sys.stdin:
    try:
        reader = frame.FrameReader()
        reader.feed(bytes.fromhex(line))
        print(frame.encode(*reader.next()).hex())
    except ValueError:
        print("refused")
`,
    ],
    env: LANGUAGES[1]?.env,
    skip: process.env.MILLRACE_SKIP_PYTHON,
  },
  {
    name: "Java",
    command: ["java", "-cp", `${jar}:${join(sdk, "java", "target", "test-classes")}`, "dev.millrace.calculator.Echo"],
    env: {},
    skip: process.env.MILLRACE_SKIP_JAVA,
  },
] as const;

describe.each(ECHOES)("frames in $name", ({ command: [command, ...args], env, skip }) => {
  const echo = (lines: readonly string[]): readonly string[] => {
    const options = { input: `${lines.join("\n")}\n`, encoding: "utf8", env: { ...process.env, ...env } } as const;
    const { stdout, stderr } = spawnSync(command, args, options);
    expect(stderr).toBe("");
    return stdout.trimEnd().split("\n");
  };

  it.skipIf(skip !== undefined)("are the same bytes", () => {
    const hex = [...vectors.frames.map((v) => v.hex), ...vectors.values.map((v) => stateFrame(v.hex))];
    expect(echo(hex)).toEqual(hex);
  });

  it.skipIf(skip !== undefined)("may be written in longer forms", () => {
    const again = echo(vectors.read.map(({ hex }) => stateFrame(hex)));
    const states = again.map((hex) => [...new FrameReader().read(Buffer.from(hex, "hex"))].map(plain));
    expect(states).toEqual(vectors.read.map(({ value }) => [{ is: "state", id: null, state: value }]));
  });

  it.skipIf(skip !== undefined)("are refused when they are none", () => {
    expect(echo(vectors.refused.map(({ hex }) => hex))).toEqual(vectors.refused.map(() => "refused"));
  });
});

describe.each(LANGUAGES)("a worker in $name", (language) => {
  let folder: string;
  let peer: Peer;
  let file: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "conformance-"));
    if (language.skip !== undefined) return;
    file = COMPILED[language.file]?.(folder) ?? join(sdk, "vectors", language.file);
    peer = new Peer(language, folder);
  }, 60_000);
  afterAll(() => {
    peer?.child.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  });

  it.skipIf(language.skip !== undefined)("introduces itself and loads a file", async () => {
    expect(await peer.next()).toMatchObject({
      is: "hello",
      proto: "abacus/1",
      lang: language.lang ?? language.name.toLowerCase(),
    });
    expect(existsSync(file)).toBe(true);
    peer.say("welcome", { ...(conversations.welcome as object), file } as Json);
    expect(await peer.next()).toMatchObject({ is: "ready", ...conversations.ready });
  });

  it.skipIf(language.skip !== undefined)("parts what no frame holds together, and says what none holds", async () => {
    const sizes = [6_000_000, 6_000_000, 6_000_000, 17_000_000];
    peer.say("batch", { id: 900, at: 1, deadlineMs: 1000, rows: sizes.map((n) => ({ do: "fill", n })) });
    const answer = await peer.answer();
    const out = answer.is === "result" ? answer.out : [];
    expect(out.slice(0, 3).map((outcome) => (outcome as readonly string[])[0]?.length)).toEqual(sizes.slice(0, 3));
    const msg = expect.stringMatching(/cannot be sent: it takes 17\d+ bytes, more than a frame holds/);
    expect(out[3]).toMatchObject({ code: "CALC-RESULT", msg });
    expect(await peer.next()).toMatchObject({ is: "credit" });
  });

  it.skipIf(language.skip !== undefined).each(conversations.conversations)("$name", async ({ talk }) => {
    for (const { host, worker, body = {}, end } of talk) {
      if (host !== undefined) peer.say(host, withFiles(body, folder));
      if (end !== undefined) expect(await ending(peer.child)).toBe(end);
      if (worker === undefined) continue;
      const { copies, ...answer } = withoutPlaces(await peer.answer(), folder, language.knowsPlaces ?? true) as Record<
        string,
        unknown
      >;
      expect(answer).toEqual({ is: worker, ...(body as object) });
      // Node in a process of its own reads the file; whoever can map does.
      expect(copies).toBe(language.name === "Node" ? answer.opens : undefined);
    }
  });
});

async function ending(child: ChildProcess): Promise<unknown> {
  return child.exitCode ?? (await once(child, "exit"))[0];
}

/** `{ $file: text }` stands for the path of a file with that name and text. */
function withFiles(body: Json, folder: string): Json {
  return JSON.parse(JSON.stringify(body), (_, value) => {
    if (typeof value?.$file !== "string") return value;
    const path = join(folder, value.$file);
    writeFileSync(path, value.$file);
    return path;
  }) as Json;
}

/** Places and the names of exceptions are each language's own. */
function withoutPlaces(frame: Frame, folder: string, knowsPlaces: boolean): unknown {
  return JSON.parse(JSON.stringify(plain(frame)), (_, value) => {
    if (typeof value?.msg !== "string") return value;
    if (knowsPlaces) expect(value.place).toMatchObject({ file: expect.any(String), line: expect.any(Number) });
    return { code: value.code, msg: value.msg.replace(/^\w+: /, "").replace(`${folder}/`, "") };
  });
}
