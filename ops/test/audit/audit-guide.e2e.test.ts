/** An auditor's way through ops/docs/audit.md: every command of it, in order, beside a running demo. */
import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Running, root, start } from "../millrace.ts";
import { TestWitness } from "./test-witness.ts";

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
  [
    "audit verify",
    /^ok: [^\n]*\nwitness\.example\/w: the first [\d,]+, 20[^\n]*\nthe witnesses that were asked for vouch for the first [\d,]+ records\n[\s\S]*\n— millrace\/log\/\S+ \S+\n— witness\.example\/w \S+\n$/,
  ],
  ["--witness", /^verified: 10 events[^\n]*\nsigned: [^\n]*; cosigned by 1 witnesses asked for\n/],
  ["audit tiles", /^[\d,]+ records: \d+ tiles in public, \d+ of them new\ncheckpoint\n[\s\S]*tile\nverifier-key\n/],
];

describe("the audit guide", () => {
  let directory: string;
  let server: Running;
  let witnessServer: Server;
  let url: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "millrace-guide-"));
    mkdirSync(join(directory, "bin"));
    const shim = join(directory, "bin", "millrace");
    writeFileSync(shim, `#!/bin/sh\nexec "${process.execPath}" "${join(root, "ops/dist-cli/millrace.js")}" "$@"\n`);
    chmodSync(shim, 0o755);
    const { witness, address } = await startWitness();
    writeFileSync(join(directory, "witness-key"), `${witness.verifierKey}\n`);
    const asked = ["--witness", `${witness.verifierKey}@${address}`, "--witness-allow", "127.0.0.0/8"];
    server = start(["serve", "--port", "0", "--json", ...asked], { cwd: directory });
    const announced = JSON.parse(await server.line(/^\{/)) as { url: string; data: string };
    url = announced.url;
    expect(announced.data).toBe(DATA);
  }, 60_000);
  afterAll(async () => {
    server.child.kill("SIGTERM");
    await server.finished;
    witnessServer.close();
    rmSync(directory, { recursive: true, force: true });
  });

  async function startWitness(): Promise<{ readonly witness: TestWitness; readonly address: string }> {
    const witness = new TestWitness("witness.example/w");
    witnessServer = createServer(async (request, response) => {
      const { status, headers, body } = witness.answer(await text(request));
      response.writeHead(status, headers).end(body);
    });
    await new Promise<void>((resolve) => witnessServer.listen(0, "127.0.0.1", resolve));
    return { witness, address: `http://127.0.0.1:${(witnessServer.address() as AddressInfo).port}` };
  }

  /** Records that a check of the host's health speaks of first. */
  async function recordsOf(check: string): Promise<number> {
    const { checks } = (await (await fetch(`${url}/readyz`)).json()) as { checks: { name: string; detail: string }[] };
    const { detail = "" } = checks.find(({ name }) => name === check) ?? {};
    return Number(/^(\d+) records (?:co)?signed/.exec(detail)?.[1] ?? Number.NaN);
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
    await expect.poll(() => recordsOf("audit")).toBeGreaterThanOrEqual(12);
  });

  it("has a witness that cosigns it, which health, metrics and an address say", async () => {
    await expect.poll(() => recordsOf("witness witness.example/w")).toBeGreaterThanOrEqual(12);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/^millrace_witness_failing\{witness="witness\.example\/w",code=""\} 0$/m);
    const cosigned = await (await fetch(`${url}/audit/checkpoint-cosigned`)).text();
    expect(cosigned).toMatch(/^millrace\/log\/[\s\S]*\n— witness\.example\/w \S+\n$/);
    const id = readFileSync(join(directory, "witness-key"), "utf8").split("+")[1];
    expect((await fetch(`${url}/audit/cosigned/${id}`)).status).toBe(200);
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
