/** Cosigning with litewitness, which shares nothing with Millrace, and with servers that do wrong, over HTTP as a host does it. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemEnv } from "@millrace/engine";
import type { WitnessStatus } from "@millrace/projections";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { witnessPeer } from "../../bin/witness-peer.mjs";
import { freePort } from "../../services/free-port.ts";
import { witnessOptions } from "../../src/audit/witness-options.ts";
import { exportEvents, verify } from "../../src/cli/command/audit.ts";
import { type OpenedData, openData } from "../../src/host/open-data.ts";
import { millrace } from "../millrace.ts";
import { addEvents, appendEvents } from "./audited-data.ts";
import { TestWitness } from "./test-witness.ts";

const LOOPBACK = ["127.0.0.0/8"];

function openCosigned(path: string, witness: readonly string[]): Promise<OpenedData> {
  const witnesses = witnessOptions({ witness, witnessAllow: LOOPBACK });
  const onFatal = (error: Error): never => {
    throw error;
  };
  return openData({ path, env: systemEnv(), onFatal, witnesses });
}

const states = (data: OpenedData): readonly string[] =>
  (data.cosigning?.status() ?? []).map(({ state, size, failure }: WitnessStatus) =>
    [state, size, failure?.code].join(" ").trim(),
  );

const skipped = process.env.MILLRACE_SKIP_WITNESS;
const why = skipped === undefined ? "" : ` (skipped: ${skipped})`;

describe.skipIf(skipped !== undefined)(`litewitness${why}`, () => {
  let directory: string;
  let data: string;
  let logKey: string;
  let agent: ChildProcess;
  let witness: LiteWitness;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "millrace-witness-"));
    data = join(directory, "data");
    await addEvents(data, 300);
    logKey = (await millrace(["audit", "key", "--data", data])).stdout.trim();
    agent = await startAgent(directory);
    witness = await startWitness(directory, "witness.example/lite");
    run(witnessPeer.judge, "add-log", witness.database, logKey);
  }, 120_000);
  afterAll(() => {
    witness.child.kill("SIGKILL");
    agent.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  });

  const asked = (): readonly string[] => [`${witness.key}@${witness.url}`];

  it("cosigns what Millrace signs, step by step, and another verifier accepts it", async () => {
    for (const count of [1, 40, 700]) {
      const opened = await openCosigned(data, asked());
      await appendEvents(opened.log, count);
      await opened.audit.signed(opened.log.durableEnd);
      await expect.poll(() => states(opened)).toEqual([`live ${opened.log.durableEnd}`]);
      await opened.close();
    }
    const note = join(directory, "note");
    const { stdout } = await millrace(["audit", "checkpoint", "--cosigned", "--data", data]);
    writeFileSync(note, stdout);
    expect(run(witnessPeer.judge, "open", note, logKey, witness.key)).toMatch(
      /^cosigned: 1041 records by witness\.example\/lite at \d{10}\n$/,
    );
    const changed = stdout.replace(
      /(.)(.{9})\n$/,
      (_all, letter: string, rest: string) => `${letter === "A" ? "B" : "A"}${rest}\n`,
    );
    writeFileSync(note, changed);
    expect(spawnSync(witnessPeer.judge, ["open", note, logKey, witness.key]).status).toBe(1);
  }, 60_000);

  it("vouches for the log in audit verify, and in a bundle that is checked elsewhere", async () => {
    const { code, stdout } = await millrace(["audit", "verify", "--data", data, "--witness", witness.key]);
    expect(stdout).toMatch(/^ok: 1,041 of 1,041 [^\n]*\nwitness\.example\/lite: the first 1,041, 20/);
    expect(code).toBe(0);
    const out = join(directory, "bundle");
    await exportEvents({ data, from: 5, to: 9, out });
    const check = (...args: readonly string[]): string => {
      const { stdout: said, stderr } = spawnSync(process.execPath, [join(out, "verify.mjs"), ...args], {
        encoding: "utf8",
      });
      return said + stderr;
    };
    expect(check("--key", logKey, "--witness", witness.key)).toMatch(
      /^verified: 4 events[^\n]*\nsigned: 1041 [^\n]*cosigned by 1 /,
    );
    const stranger = new TestWitness("witness.example/other").verifierKey;
    expect(check("--witness", witness.key, "--witness", stranger)).toBe(
      "refused: 1 of 2 wanted witnesses have cosigned; missing: witness.example/other\n",
    );
    expect(check("--witness", witness.key, "--witness", stranger, "--quorum", "1")).toMatch(/^verified: 4 events/);
    const checkpoint = readFileSync(join(out, "checkpoint"), "utf8");
    expect(checkpoint.split("\n").filter((line) => line.startsWith("\u2014 witness.example/lite "))).toHaveLength(1);
  }, 60_000);

  it("contradicts a log that was put back, and one that has another history since", async () => {
    const old = join(directory, "old");
    cpSync(data, old, { recursive: true });
    const ahead = await openCosigned(data, asked());
    await appendEvents(ahead.log, 20);
    await ahead.audit.signed(1061);
    await expect.poll(() => states(ahead)).toEqual(["live 1061"]);
    await ahead.close();

    const back = await openCosigned(old, asked());
    await expect.poll(() => states(back)).toEqual(["alarm 1041 WITNESS-AHEAD"]);
    await appendEvents(back.log, 30);
    await back.audit.signed(1071);
    await expect.poll(() => states(back)).toEqual(["alarm 1041 WITNESS-FORK"]);
    expect(back.audit.status()).toMatchObject({ state: "live", size: 1071 });
    await back.close();
  }, 60_000);

  it("refuses a log that it does not know", async () => {
    const other = join(directory, "other");
    const opened = await openCosigned(other, asked());
    await appendEvents(opened.log, 1);
    await expect.poll(() => states(opened)).toEqual(["failing 0 WITNESS-REFUSED"]);
    await opened.close();
    const { code, stdout } = await millrace(["audit", "verify", "--data", other, "--witness", witness.key]);
    expect(stdout).toMatch(/^WITNESS-MISSING 0 of 1 [^\n]*; missing: witness\.example\/lite\nnot ok\n/);
    expect(code).toBe(1);
    expect(readdirSync(join(other, "audit", opened.log.id))).not.toContain("checkpoint-cosigned");
  }, 60_000);
});

interface LiteWitness {
  readonly child: ChildProcess;
  readonly url: string;
  readonly key: string;
  readonly database: string;
}

function run(command: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

/** litewitness has its key from an ssh-agent. */
async function startAgent(directory: string): Promise<ChildProcess> {
  const socket = join(directory, "agent");
  const child = spawn("ssh-agent", ["-D", "-a", socket], { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise<void>((resolve) => child.stdout?.once("data", () => resolve()));
  const key = join(directory, "witness-key");
  run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key);
  const { status } = spawnSync("ssh-add", ["-q", key], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
  expect(status).toBe(0);
  return child;
}

async function startWitness(directory: string, name: string): Promise<LiteWitness> {
  const fingerprint = run("ssh-keygen", "-l", "-f", join(directory, "witness-key.pub")).split(" ")[1] ?? "";
  const port = await freePort();
  const database = join(directory, "witness.db");
  const address = `127.0.0.1:${port}`;
  const args = ["-name", name, "-db", database, "-ssh-agent", join(directory, "agent"), "-listen", address];
  const child = spawn(witnessPeer.litewitness, [...args, "-key", fingerprint], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  const key = await new Promise<string>((resolve, reject) => {
    child.stderr?.on("data", (text: Buffer) => {
      said += text.toString();
      const found = /vkey="?([^"\s]+)"?\n/.exec(said)?.[1];
      if (found !== undefined && said.includes("listening")) resolve(found);
    });
    child.once("close", () => reject(new Error(`litewitness ended: ${said}`)));
  });
  return { child, key, database, url: `http://${address}` };
}

describe("a witness that does wrong", () => {
  const good = new TestWitness("good.example/w");
  const bad = new TestWitness("bad.example/w");
  let directory: string;
  let server: Server;
  let url: string;
  /** What the bad one does with a request. */
  let misbehave: (response: ServerResponse) => void;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "millrace-witness-"));
    server = createServer((request, response) => {
      let body = "";
      request.on("data", (part) => {
        body += part;
      });
      request.on("end", () => {
        if (request.url === "/bad/add-checkpoint") return misbehave(response);
        const { status, headers, body: answer } = good.answer(body);
        response.writeHead(status, headers).end(answer);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    good.size = 0;
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(directory, { recursive: true, force: true });
  });

  it.each<[what: string, misbehaviour: (response: ServerResponse) => void, state: string]>([
    ["hangs", () => undefined, "live 0"],
    ["hangs up", (response) => void response.destroy(), "failing 0 WITNESS-UNAVAILABLE"],
    ["sends without end", (response) => void response.write("x".repeat(100_000)), "failing 0 WITNESS-ANSWER"],
    ["sends garbage", (response) => void response.end(Buffer.alloc(500, 0xff)), "failing 0 WITNESS-ANSWER"],
    [
      "leads to another place",
      (response) => void response.writeHead(307, { location: "http://10.0.0.1/" }).end(),
      "failing 0 WITNESS-UNAVAILABLE",
    ],
  ])("and %s keeps neither the log nor the other witness from its work", async (_what, misbehaviour, state) => {
    misbehave = misbehaviour;
    const witnesses = [`${good.verifierKey}@${url}/good/`, `${bad.verifierKey}@${url}/bad`];
    const opened = await openCosigned(join(directory, "data"), witnesses);
    await appendEvents(opened.log, 50);
    await opened.audit.signed(50);
    await expect.poll(() => states(opened)).toEqual(["live 50", state]);
    expect(opened.audit.status()).toMatchObject({ state: "live", size: 50 });
    await opened.close();
  });

  it("is not called on a network that is not public, unless that is allowed", async () => {
    const options = witnessOptions({ witness: [`${good.verifierKey}@${url}/good`] });
    const path = join(directory, "data");
    const opened = await openData({ path, env: systemEnv(), onFatal: () => undefined, witnesses: options });
    await appendEvents(opened.log, 1);
    await expect.poll(() => states(opened)).toEqual(["failing 0 WITNESS-UNAVAILABLE"]);
    expect(opened.cosigning?.status()[0]?.failure?.message).toContain("HTTP-ADDRESS");
    await opened.close();
  });
});

describe("who is asked to cosign", () => {
  const { verifierKey } = new TestWitness("w.example/w");

  it.each<[what: string, asking: () => unknown]>([
    ["needs an address", () => witnessOptions({ witness: [verifierKey] })],
    ["needs a key", () => witnessOptions({ witness: ["@https://w.example"] })],
    [
      "is no log",
      () =>
        witnessOptions({
          witness: [`${"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"}@https://w.example`],
        }),
    ],
    [
      "is there once",
      () => witnessOptions({ witness: [`${verifierKey}@https://a.example`, `${verifierKey}@https://b.example`] }),
    ],
    [
      "is in networks that are some",
      () => witnessOptions({ witness: [`${verifierKey}@https://a.example`], witnessAllow: ["10.0.0.0/33"] }),
    ],
  ])("%s", (_what, asking) => {
    expect(asking).toThrow(expect.objectContaining({ code: "CLI-USAGE" }));
  });

  it.each([
    { quorum: 1 },
    { witness: [verifierKey], quorum: 2 },
    { witness: ["abc"] },
    { witness: [verifierKey, verifierKey] },
  ])("is wanted in a way that can be: %j is none", async (wanted) => {
    await expect(verify({ data: tmpdir(), ...wanted })).rejects.toMatchObject({ code: "CLI-USAGE" });
  });
});
