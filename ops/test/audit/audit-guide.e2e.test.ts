/** An auditor's way through ops/docs/audit.md: every command of it, in order, beside a running demo. */
import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Running, root, start } from "../millrace.ts";

const GUIDE = readFileSync(join(root, "ops", "docs", "audit.md"), "utf8");
const DATA = ".millrace/demo";

interface Block {
  readonly section: string;
  readonly commands: string;
}

/** The fenced commands, each with the heading that it stands under. */
function blocks(): readonly Block[] {
  let section = "";
  return [...GUIDE.matchAll(/^## ([^\n]*)$|^```sh\n(.*?)^```$/gms)].flatMap(([, heading, commands]) => {
    section = heading ?? section;
    return commands === undefined ? [] : [{ section, commands }];
  });
}

/** What a block must print, by a part of its commands. */
const PRINTS: readonly (readonly [part: string, printed: RegExp])[] = [
  ["audit key", /^millrace\/log\/[0-9a-f]{32}\+[0-9a-f]{8}\+\S+\n$/],
  ["audit checkpoint", /^millrace\/log\/[0-9a-f]{32}\n\d+\n\S+\n\n— millrace\/log\//],
  ['--key "$(cat verifier-key)"\n', /^ok: [\d,]+ of [\d,]+ signed records are what was signed\nroot \S+\nkey millrace/],
  ["--since", /^ok: /],
  ["audit prove", /^c2sp\.org\/tlog-proof@v1\nextra \S+\nindex 3\n/],
  ["audit export", /^10 events, positions 2 to 11, in bundle\n[\s\S]*events\.parquet\n[\s\S]*verify\.mjs\n/],
  ["bundle/verify.mjs", /^verified: 10 events, positions 2 to 11, of millrace\/log\//],
  ['s/"principal"', /^refused: events\.jsonl is not the file that was exported\nnot accepted\n$/],
  ["sha256sum", /^refused: position \d+ says principal nobody, stored is system\nnot accepted\n$/],
];

describe("the audit guide", () => {
  let directory: string;
  let server: Running;
  let url: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "millrace-guide-"));
    mkdirSync(join(directory, "bin"));
    const shim = join(directory, "bin", "millrace");
    writeFileSync(shim, `#!/bin/sh\nexec "${process.execPath}" "${join(root, "ops/dist/cli/main.js")}" "$@"\n`);
    chmodSync(shim, 0o755);
    server = start(["serve", "--port", "0", "--json"], { cwd: directory });
    const announced = JSON.parse(await server.line(/^\{/)) as { url: string; data: string };
    url = announced.url;
    expect(announced.data).toBe(DATA);
  }, 60_000);
  afterAll(async () => {
    server.child.kill("SIGTERM");
    await server.finished;
    rmSync(directory, { recursive: true, force: true });
  });

  async function signed(): Promise<number> {
    const { checks } = (await (await fetch(`${url}/readyz`)).json()) as { checks: { name: string; detail: string }[] };
    const audit = checks.find(({ name }) => name === "audit");
    return Number(/^(\d+) records signed/.exec(audit?.detail ?? "")?.[1] ?? Number.NaN);
  }

  /** Standard output and error in the order in which they came. */
  function run(commands: string): Promise<{ readonly code: number | null; readonly output: string }> {
    const path = `${join(directory, "bin")}${delimiter}${join(process.execPath, "..")}${delimiter}${process.env.PATH}`;
    const child = spawn("sh", ["-ec", `exec 2>&1\n${commands}`], {
      cwd: directory,
      env: { ...process.env, PATH: path },
    });
    let output = "";
    child.stdout.on("data", (text: Buffer) => {
      output += text.toString();
    });
    return new Promise((resolve) => child.on("close", (code) => resolve({ code, output })));
  }

  it("begins with a host that signs what it logs, and says so in its health", async () => {
    await expect.poll(signed, { timeout: 15_000 }).toBeGreaterThanOrEqual(12);
  });

  it("has a host that serves checkpoint, key and tiles, and not the signing key", async () => {
    const served = (name: string): Promise<Response> => fetch(`${url}/audit/${name}`);
    const [origin, size] = (await (await served("checkpoint")).text()).split("\n");
    expect(await (await served("verifier-key")).text()).toContain(`${origin}+`);
    const width = Number(size) % 256;
    const tile = `tile/0/${String(Math.floor(Number(size) / 256)).padStart(3, "0")}.p/${width}`;
    if (width > 0) expect((await (await served(tile)).arrayBuffer()).byteLength).toBe(width * 32);
    expect((await served("signing-key.pem")).status).toBe(404);
  });

  it("has commands, and every one of them is followed", () => {
    expect(blocks().length).toBe(PRINTS.length);
    expect(GUIDE).not.toMatch(/^```(?!sh$|$)/m);
  });

  it.each(blocks().map(({ section, commands }, i) => [section, i + 1, commands] as const))(
    "%s, block %i",
    async (_section, number, commands) => {
      const [part, printed] = PRINTS[number - 1] ?? ["", /never/];
      expect(commands).toContain(part);
      const { code, output } = await run(commands);
      expect(output).toMatch(printed);
      expect(code).toBe(0);
    },
  );
});
