/** The process of a JMS client as its host sees it, by programs that do what a client may do. Without Java. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Feed, parseJmsAddress, reportOf, systemEnv } from "@millrace/engine";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { checkJmsClient, type JmsOptions, jmsFeed } from "../../src/jms/mod.ts";
import { unixWorkers } from "../../src/process/mod.ts";

const env = systemEnv();
const WAIT = { timeout: 45_000, interval: 10 };
const QUICK = { backoffMs: 5, backoffMaxMs: 20, suspendMs: 50 };
/** Tells who it is, and says what a bridge says: a map of texts. */
const BEGIN = `
const { appendFileSync } = require("node:fs");
appendFileSync(process.env.PIDS, process.pid + "\\n");
const socket = require("node:net").connect(process.env.MILLRACE_SOCKET);
const say = (is, more = {}) => {
  const text = (value) => [Buffer.from([0xa0 + value.length]), Buffer.from(value)];
  const fields = Object.entries({ is, ...more });
  const body = Buffer.concat([Buffer.from([0x80 + fields.length]), ...fields.flat().flatMap(text)]);
  const head = Buffer.alloc(4);
  head.writeUInt32LE(body.length);
  socket.write(Buffer.concat([head, body]));
};
`;

interface Program {
  readonly options: JmsOptions;
  /** Those that were started. */
  pids(): readonly number[];
}

function programOf(script: string): Program {
  const folder = mkdtempSync(join(tmpdir(), "millrace-bridge-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const pids = join(folder, "pids");
  writeFileSync(pids, "");
  const command = { command: process.execPath, args: ["-e", BEGIN + script], env: { PIDS: pids } };
  const program = { command, launcher: unixWorkers(env) };
  return {
    options: { id: "g/n", program, clientAt: () => ({ factory: "x.Factory" }), policy: QUICK },
    pids: () => readFileSync(pids, "utf8").split("\n").filter(Boolean).map(Number),
  };
}

function address() {
  const parsed = parseJmsAddress("//127.0.0.1:1/queue/q", "source");
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function running(options: JmsOptions): { readonly feed: Feed; end(): Promise<void> } {
  const stopping = new AbortController();
  const feed = jmsFeed(address(), env, options);
  const ignore = (): void => undefined;
  const intake = { cursor: undefined, take: ignore, takeGroup: ignore, reject: ignore, lose: ignore };
  const ended = feed.run(intake, stopping.signal);
  const end = (): Promise<void> => {
    stopping.abort();
    return ended;
  };
  return { feed, end };
}

/** How long a check may take; a JVM has to start. */
const CHECK_MS = 20_000;

describe("the process of a JMS client", () => {
  test("that does not answer a check is ended with it", async () => {
    const { options, pids } = programOf("setInterval(() => undefined, 1000);");
    const late: (() => void)[] = [];
    const after: typeof env.timers.after = (ms, fire) => {
      if (ms !== CHECK_MS) return env.timers.after(ms, fire);
      late.push(fire);
      return { cancel: () => undefined };
    };
    const checking = checkJmsClient(address(), { ...env, timers: { after } }, options).catch(reportOf);
    await vi.waitFor(() => expect(pids()).toHaveLength(1), WAIT);
    for (const fire of late) fire();
    const report = await checking;
    expect(report).toMatchObject({ code: "JMS-BRIDGE", message: expect.stringContaining("does not answer") });
    await vi.waitFor(() => expect(pids().filter(isAlive)).toEqual([]), WAIT);
  });

  test("is ended when the feed is, though it was about to start", async () => {
    const { options } = programOf("setInterval(() => undefined, 1000);");
    const launched: number[] = [];
    const launcher = {
      ...options.program.launcher,
      launch: async (...how: Parameters<typeof options.program.launcher.launch>) => {
        const worker = await options.program.launcher.launch(...how);
        launched.push(worker.pid);
        stopping.abort();
        // The feed takes leave before anybody has the process in hand.
        await new Promise(setImmediate);
        return worker;
      },
    };
    const stopping = new AbortController();
    const feed = jmsFeed(address(), env, { ...options, program: { ...options.program, launcher } });
    const unused = (): never => {
      throw new Error("nothing comes");
    };
    await feed.run(
      { cursor: undefined, take: unused, takeGroup: unused, reject: unused, lose: unused },
      stopping.signal,
    );
    expect(launched).toHaveLength(1);
    await vi.waitFor(() => expect(launched.filter(isAlive)).toEqual([]), WAIT);
  });

  test.each([
    ["makes the next attempt when the broker was not there", "", 1],
    ["ends when it cannot connect for a reason that has a code", "JMS-AUTH", 3],
  ])("%s", async (_what, code, processes) => {
    const refusal = JSON.stringify({ of: "open", code, message: "no" });
    // Only the third attempt to connect succeeds, whichever process makes it.
    const isThird =
      'fs.appendFileSync(process.env.PIDS + ".asked", "x"), fs.statSync(process.env.PIDS + ".asked").size === 3';
    const answer = `socket.on("data", (said) => { if (said.includes("close")) process.exit(0); if (${isThird}) say("opened"); else say("failed", ${refusal}); });`;
    const { options, pids } = programOf(`const fs = require("node:fs"); say("hello"); ${answer}`);
    const { feed, end } = running(options);
    await vi.waitFor(() => expect(feed.connection().connects).toBe(1), WAIT);
    expect(pids()).toHaveLength(processes);
    await end();
    await vi.waitFor(() => expect(pids().filter(isAlive)).toEqual([]), WAIT);
  });

  test("that waits for another attempt ends with its feed", async () => {
    const answer = 'socket.on("data", () => say("failed", { of: "open", code: "", message: "no" }));';
    const { options, pids } = programOf(`say("hello"); ${answer}`);
    const { feed, end } = running(options);
    await vi.waitFor(() => expect(feed.connection().failures).toBeGreaterThan(2), WAIT);
    expect(pids()).toHaveLength(1);
    await end();
    await vi.waitFor(() => expect(pids().filter(isAlive)).toEqual([]), WAIT);
  });

  test.each([
    ["before it has said anything", "process.exitCode = 0; socket.destroy();"],
    ["after it has begun", 'say("hello"); socket.end(() => process.exit(0));'],
  ])("that ends well by itself %s is told so", async (_when, script) => {
    const { options } = programOf(script);
    const report = await checkJmsClient(address(), env, options).catch(reportOf);
    expect(report).toMatchObject({
      code: "JMS-BRIDGE",
      message: "the process of the JMS client ended with code 0",
    });
  });

  test("is asked to leave, and does, when its check is done", async () => {
    const answer = 'let said = 0; socket.on("data", () => (said++ === 0 ? say("opened") : process.exit(0)));';
    const { options, pids } = programOf(`say("hello"); ${answer}`);
    await checkJmsClient(address(), env, options);
    expect(pids().filter(isAlive)).toEqual([]);
  });

  test("says no secret with its last words", async () => {
    const { options } = programOf('console.error("cannot go to s3cret"); process.exitCode = 4; socket.destroy();');
    const report = await checkJmsClient(address(), env, { ...options, secrets: ["s3cret"] }).catch(reportOf);
    expect(report).toMatchObject({
      code: "JMS-BRIDGE",
      message: "the process of the JMS client ended with code 4: cannot go to ***",
    });
  });
});
