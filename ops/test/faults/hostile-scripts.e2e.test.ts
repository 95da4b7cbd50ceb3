/** More than a thousand scripts that want out of their sandbox; the same ones get out where there is none. */
import { mkdirSync, readdirSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { DeadLetter } from "@millrace/engine";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lastJson, root } from "../millrace.ts";
import { isFull, limitMs, tell } from "./form.ts";
import { GraphFolder, type Summary } from "./graph-folder.ts";
import { BOMBS, HOSTILE_SCRIPT, hostileRows, type Prize } from "./hostile-scripts.ts";

const SECRET = "the-secret-of-this-host-4711";
const VARIABLE = "HOSTILE_PRIZE";
const SCRIPTS_MIN = 1000;
/** Of the bombs, each of which takes its deadline twice, the short form has one in so many: a loop, a heap, a depth. */
const SHORT_EVERY = 3;
/** Names that a script finds only where a host put them. */
const OF_HOSTS = /\b(?:process|require|fetch|setTimeout|WebAssembly|Buffer|global|console|Worker|std|performance)\b/;

const graph = (options: string, rows = "rows"): string => `name: hostile
nodes:
  in:  { kind: source, from: "file:./${rows}.ndjson" }
  run: { kind: calculator, input: in, use: ./hostile.mjs, ${options} }
  out: { kind: sink, input: run, to: "file:out.ndjson" }
`;
const ndjson = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

/** A folder with a secret, and what was seen from outside. */
class Prison {
  readonly folder: GraphFolder;
  readonly #server: Server;
  calls = 0;

  static async open(): Promise<Prison> {
    const server = createServer((_, response) => response.end(SECRET));
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    return new Prison(server);
  }

  private constructor(server: Server) {
    this.#server = server;
    server.on("connection", () => {
      this.calls++;
    });
    this.folder = new GraphFolder({ "secret.txt": SECRET, "hostile.mjs": HOSTILE_SCRIPT });
    mkdirSync(join(this.folder.path, "marks"));
  }

  get prize(): Prize {
    return {
      secretFile: join(this.folder.path, "secret.txt"),
      secretVariable: VARIABLE,
      marks: join(this.folder.path, "marks"),
      url: `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`,
      module: join(root, "ops", "dist", "calculator", "sandboxed-script.js"),
    };
  }

  async run(options: string, rows: readonly object[]): Promise<Summary> {
    this.folder.write({ "graph.yaml": graph(options), "rows.ndjson": ndjson(rows) });
    const { code, stdout, stderr } = await this.folder.run({ [VARIABLE]: SECRET });
    expect(`${code} ${stderr}`).toMatch(/^0 /);
    return lastJson(stdout) as Summary;
  }

  /** Everything by which a script has shown that it was outside. */
  escapes(): readonly string[] {
    const lines = this.folder.lines("out.ndjson");
    return [
      ...lines.filter((line) => line.includes(SECRET) || /"got":"host /.test(line) || OF_HOSTS.test(gotIn(line))),
      ...readdirSync(join(this.folder.path, "marks")),
      ...(this.calls === 0 ? [] : [`${this.calls} calls`]),
    ];
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
    this.folder.remove();
  }
}

const gotIn = (line: string): string => (JSON.parse(line) as { readonly got?: string }).got ?? "";

describe("scripts in a sandbox", () => {
  let prison: Prison;
  beforeAll(async () => {
    prison = await Prison.open();
  });
  afterAll(() => prison.close());

  it(
    "never get out, however they try, and are calculated as any other",
    async (context) => {
      const scripts = hostileRows(prison.prize);
      expect(scripts.length).toBeGreaterThanOrEqual(SCRIPTS_MIN);
      const summary = await prison.run("sandbox: true, deadline: 30s, limits: { memoryMib: 32, load: 2m }", [
        ...scripts,
        { n: -1 },
      ]);
      const escapes = prison.escapes();
      tell(context, `${scripts.length} hostile scripts: ${escapes.length} escapes`);
      expect(escapes).toEqual([]);
      expect(summary.messagesOut + summary.deadLettered).toBe(scripts.length + 1);
      const seen = prison.folder.rows<{ readonly n: number; readonly got?: string; readonly failed?: string }>(
        "out.ndjson",
      );
      expect(seen.filter(({ failed }) => failed !== undefined).length).toBeGreaterThan(SCRIPTS_MIN / 2);
    },
    limitMs(180_000),
  );
});

describe("the same scripts without a sandbox", () => {
  let prison: Prison;
  beforeAll(async () => {
    prison = await Prison.open();
  });
  afterAll(() => prison.close());

  it(
    "get out, so it is the sandbox that holds them",
    async () => {
      await prison.run("deadline: 30s, limits: { load: 2m }", hostileRows(prison.prize, ["globalThis"]).slice(0, 30));
      expect(prison.escapes().length).toBeGreaterThan(10);
    },
    limitMs(120_000),
  );
});

describe("scripts in a sandbox that have no end, or no bound", () => {
  let prison: Prison;
  beforeAll(async () => {
    prison = await Prison.open();
  });
  afterAll(() => prison.close());

  it(
    "are ended with their code; the others go on as if they had not been there",
    async () => {
      const bombs = BOMBS.filter((_, i) => isFull || i % SHORT_EVERY === 0);
      const rows = bombs.flatMap(([code], i) => [{ n: 2 * i, code }, { n: 2 * i + 1 }]);
      await prison.run("sandbox: true, deadline: 2s, limits: { memoryMib: 32, load: 2m }", rows);
      const letters: readonly DeadLetter[] = await prison.folder.deadLetters();
      const codeOf = (n: number): string | undefined =>
        letters.find(({ input }) => (input as { readonly n: number }).n === n)?.error.code;
      for (const [i, [code, codes]] of bombs.entries()) expect(codes, code).toContain(codeOf(2 * i));
      const good = bombs.map((_, i) => ({ n: 2 * i + 1, polluted: null }));
      expect(prison.folder.rows("out.ndjson")).toEqual(good);
    },
    limitMs(300_000),
  );
});
