/** Data directories whose log is in EventStoreDB: what they are tied to, and what is refused for them. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemEnv } from "@millrace/engine";
import { gather } from "@millrace/engine/testing";
import { openEventStoreLog } from "@millrace/streams/event-store";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { opensslMissing, selfSigned } from "../../services/certificate.ts";
import { verify } from "../../src/cli/command/audit.ts";
import { listLog } from "../../src/cli/command/log.ts";
import { loadGraph } from "../../src/cli/load-graph.ts";
import { refuseUnserved } from "../../src/cli/refuse-unserved.ts";
import { openStopped } from "../../src/cli/stopped-server.ts";
import { withCare } from "../../src/cli/with-care.ts";
import { logAddress } from "../../src/host/log-address.ts";
import { openData } from "../../src/host/open-data.ts";
import { openRemoteData } from "../../src/host/open-remote-data.ts";
import { type ServedLog, type ServeOptions, serveLog } from "./served-log.ts";

const env = systemEnv();
const opened: { close(): Promise<unknown> }[] = [];
let path: string;
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), "millrace-remote-data-"));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const one of opened.splice(0).reverse()) await one.close();
  rmSync(path, { recursive: true });
});

function keep<T extends { close(): Promise<unknown> }>(one: T): T {
  opened.push(one);
  return one;
}

const serve = async (options?: ServeOptions): Promise<ServedLog> => keep(await serveLog("memory", options));
const address = ({ port }: ServedLog, host = "127.0.0.1"): string => `esdb://${host}:${port}?tls=false`;
const open = (text: string) => openRemoteData({ path, env, log: logAddress(text) });
const onFatal = (): void => undefined;

/** A directory that was used with this log. */
async function tied(served: ServedLog): Promise<void> {
  await (await open(address(served))).close();
}

describe("a directory", () => {
  it("stays with its log, whatever address that is reached at", async () => {
    const served = await serve();
    await tied(served);
    await (await open(address(served, "localhost"))).close();
    const other = await serve();
    await expect(open(address(other))).rejects.toMatchObject({ code: "HOST-LOG" });
    await expect(openData({ path, env, onFatal })).rejects.toMatchObject({ code: "HOST-LOG" });
    await expect(openStopped(path)).rejects.toMatchObject({ code: "HOST-LOG" });
    vi.stubEnv("MILLRACE_LOG", address(served));
    await (await openStopped(path)).close();
  });

  it("with a log of its own is not used with another", async () => {
    await (await openData({ path, env, onFatal })).close();
    const files = readdirSync(join(path, "log"));
    await expect(open(address(await serve()))).rejects.toMatchObject({ code: "HOST-LOG" });
    expect(readdirSync(join(path, "log"))).toEqual(files);
  });

  it("has one host at a time", async () => {
    const served = await serve();
    const data = keep(await open(address(served)));
    await expect(open(address(served))).rejects.toMatchObject({ code: "LOG-LOCKED" });
    vi.stubEnv("MILLRACE_LOG", address(served));
    await expect(openStopped(path)).rejects.toMatchObject({ code: "HOST-RUNNING" });
    expect(data.checks()).toEqual([
      { name: "log", ok: true, detail: `EventStoreDB answers (127.0.0.1:${served.port})` },
    ]);
  });

  it("has no files of a log to prove, list, prune or erase from", async () => {
    await tied(await serve());
    const refused = { code: "HOST-REMOTE-LOG" };
    await expect(verify({ data: path })).rejects.toMatchObject(refused);
    await expect(listLog({ data: path })).rejects.toMatchObject(refused);
    await expect(withCare(path, async () => undefined)).rejects.toMatchObject(refused);
  });
});

it("a host is refused what only one with its own log does", () => {
  const graph = join(path, "graph.yaml");
  writeFileSync(join(path, "in.ndjson"), "{}\n");
  const load = (more: string) => {
    writeFileSync(
      graph,
      `name: g\nnodes:\n  in: { kind: source, from: "file:./in.ndjson"${more} }\n  out: { kind: sink, input: in, to: "stdout:" }\n`,
    );
    const loaded = loadGraph(graph);
    expect(loaded.problems).toEqual([]);
    return [loaded];
  };
  const refused = expect.objectContaining({ code: "HOST-REMOTE-LOG" });
  expect(() => refuseUnserved(load(""), {})).not.toThrow();
  expect(() => refuseUnserved(load(""), { eventStore: {} })).toThrow(refused);
  expect(() => refuseUnserved(load(""), { witnesses: {} })).toThrow(refused);
  expect(() => refuseUnserved(load(""), { nodes: ["in"] })).toThrow(refused);
  expect(() => refuseUnserved(load(", personal: { subject: who, fields: [mail] }"), {})).toThrow(refused);
});

it("an address that is none is refused without being shown", () => {
  for (const text of [
    "postgres://me:secret@host",
    "esdb://",
    "host:2113",
    "esdb://me:secret@",
    "esdb://me:1/secret@host",
    "esdb://me:1?secret@host",
  ])
    expect(() => logAddress(text)).toThrow(
      expect.objectContaining({ code: "CLI-USAGE", message: expect.not.stringContaining("secret") }),
    );
  expect(logAddress("esdb+discover://me:secret@a:1,b.example:2/?tls=true").servers).toBe("a:1,b.example:2");
  expect(logAddress("esdb://[::1]:2113").servers).toBe("[::1]:2113");
});

it.skipIf(opensslMissing)("says what is wrong with TLS and credentials", async () => {
  const { cert, key } = selfSigned(path);
  const tls = { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
  const { port } = await serve({ tls, token: "right" });
  const at = (secret: string, query: string): string => `esdb://zoe:${secret}@localhost:${port}?${query}`;
  const trusted = `tls=true&tlsCAFile=${cert}`;
  const codeOf = (text: string): Promise<unknown> =>
    open(text).then(
      (data) => data.close(),
      ({ code, message }: { readonly code: string; readonly message: string }) => {
        expect(message).not.toMatch(/right|wrong/);
        return code;
      },
    );
  expect(await codeOf(at("wrong", trusted))).toBe("ESDB-DENIED");
  expect(await codeOf(at("right", "tls=true"))).toBe("ESDB-TLS");
  expect(await codeOf(at("right", "tls=false"))).toBe("ESDB-UNREACHABLE");
  expect(await codeOf(at("right", trusted))).toBeUndefined();
  const clear = await serve();
  expect(await codeOf(at("right", trusted).replace(String(port), String(clear.port)))).toBe("ESDB-TLS");
});

it("a log has the name that its first host gave it", async () => {
  const served = await serve();
  const log = async (host: string) =>
    keep(await openEventStoreLog({ connectionString: address(served, host), env, namedBy: "millrace" }));
  const [one, two] = await Promise.all([log("127.0.0.1"), log("localhost")]);
  const [named] = await gather(served.log.readStream("millrace"));
  expect([one.id, two.id]).toEqual([Buffer.from(named?.id ?? []).toString("hex"), one.id]);
});
