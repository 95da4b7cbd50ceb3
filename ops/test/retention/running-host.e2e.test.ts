/** Archive, prune, holds and erasure while a host holds the log and its graphs run. */
import { existsSync } from "node:fs";
import { createConnection } from "node:net";
import { userInfo } from "node:os";
import { listSegments, type SegmentInfo, scrubLog, systemDisk } from "@millrace/streams/embedded";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lastJson } from "../millrace.ts";
import { BY, RunningHost, type SignUp } from "./running-host.ts";

const EVENTS = 900;
const TEST_MS = 180_000;

let host: RunningHost;
let next = 0;

const signUp = (customer: string): SignUp => {
  const id = next++;
  return { id, customer, email: `plain-${customer}-${id}@example.org` };
};

/** Pushes for a customer until it is told to stop; resolves with how many there were. */
function pushing(customer: string): () => Promise<number> {
  let isDone = false;
  const running = (async () => {
    let count = 0;
    for (; !isDone; count++) await host.push(signUp(customer));
    return count;
  })();
  return () => {
    isDone = true;
    return running;
  };
}

beforeAll(async () => {
  host = await RunningHost.make(EVENTS);
}, TEST_MS);
afterAll(() => host.remove());

describe("beside a running host", { timeout: TEST_MS }, () => {
  it("segments go to the archive, and every read finds them there", async () => {
    const before = await host.get(`/api/v1/events?direction=forward&limit=1000`);
    const { archived } = (await host.told("log", "archive", "--older-than", "0")) as { archived: readonly object[] };
    expect(archived.length).toBeGreaterThan(1);
    expect(existsSync(host.path("log", "0000000001.seg"))).toBe(false);
    const after = await host.get(`/api/v1/events?direction=forward&limit=1000`);
    expect((after.body as { events: object }).events).toEqual((before.body as { events: object }).events);
  });

  it("a legal hold keeps what is archived, and says who placed it and why", async () => {
    await host.told("log", "hold", "place", "case-7", "--stream", "counts-", "--reason", "letter of 3 May");
    expect((await host.ask("log", "hold", "ls")).stdout).toMatch(/case-7 +counts-.*letter of 3 May/);
    const held = await host.ask("log", "prune", "--older-than", "0", "--json");
    const details = expect.objectContaining({ by: "the legal hold case-7" });
    expect([held.code, lastJson(held.stdout)]).toEqual([
      1,
      { error: expect.objectContaining({ code: "LOG-HELD", details }) },
    ]);
    const again = await host.ask("log", "hold", "place", "case-7");
    expect([again.code, again.stderr]).toEqual([2, expect.stringMatching(/LOG-HOLD .*already[\s\S]*log hold ls/)]);
    expect(await host.told("log", "hold", "release", "case-7", "--reason", "closed")).toEqual({ released: "case-7" });
  });

  it("a prune is told in the log, readers of what is gone are refused, and subscribers miss nothing", async () => {
    const abort = new AbortController();
    let seen = "";
    const watching = (async () => {
      for await (const part of host.live(abort.signal)) seen += part;
    })().catch(() => undefined);
    const stop = pushing("early");
    const { base } = (await host.told("log", "prune", "--older-than", "0", "--reason", "ten years are over")) as {
      readonly base: number;
    };
    expect(base).toBeGreaterThan(EVENTS / 2);
    expect(await host.get("/api/v1/events?direction=forward&from=0")).toMatchObject({
      status: 410,
      body: { code: "LOG-PRUNED", details: { from: 0, base } },
    });
    expect(await host.get(`/api/v1/events?direction=forward&from=${base}&limit=1`)).toMatchObject({
      status: 200,
      body: { events: [{ position: base }] },
    });
    const told = await host.get("/api/v1/events?stream=$retention&limit=1");
    expect(told.body).toMatchObject({
      events: [
        {
          type: "LogPruned",
          principal: userInfo().username,
          payload: { from: 0, to: base, reason: "ten years are over" },
        },
      ],
    });
    const count = await stop();
    await expect.poll(async () => (await host.rows("early")).length).toBe(count);
    const from = base;
    const pages = (await host.get(`/api/v1/events?direction=forward&from=${from}&limit=1000`)).body as {
      readonly end: number;
    };
    // The host may write more at any time.
    await expect.poll(() => positionsOf(seen).at(-1)).toBeGreaterThanOrEqual(pages.end - 1);
    const positions = positionsOf(seen);
    expect(positions).toEqual(positions.map((_, i) => (positions[0] ?? 0) + i));
    abort.abort();
    await watching;
  });

  it("segments are archived and pruned while graphs write, and everything verifies", async () => {
    const stop = pushing("busy");
    await expect
      .poll(async () => (await listSegments(systemDisk(), host.path("log"))).segments.some(isSealed))
      .toBe(true);
    const { archived } = (await host.told("log", "archive", "--older-than", "0")) as { archived: readonly object[] };
    expect(archived.length).toBeGreaterThan(0);
    const pruned = await host.told("log", "prune", "--older-than", "0");
    expect(pruned).toMatchObject({ pruned: expect.arrayContaining([expect.anything()]), payloads: { payloads: 0 } });
    expect(await host.told("audit", "verify")).toMatchObject({ ok: true });
    const scrubbed = scrubLog({
      disk: systemDisk(),
      directory: host.path("log"),
      seenEnd: async () => 0,
      pause: async () => undefined,
    });
    expect(await scrubbed).toMatchObject({ findings: [] });
    const count = await stop();
    await expect.poll(async () => (await host.rows("busy")).length).toBe(count);
  });

  it("a subject is erased while values of it come in: all are sealed or erased, and none can be read", async () => {
    await host.push(signUp("ann"), signUp("bob"));
    const asked = await host.ask("erase", "ann", "--json");
    expect([asked.code, lastJson(asked.stdout)]).toEqual([1, expect.objectContaining({ erased: false })]);
    const stop = pushing("ann");
    const done = await host.told("erase", "ann", "--yes", "--reason", "letter of 3 May");
    expect(done).toMatchObject({ erased: true, repeated: false });
    const { key } = done as { readonly key: string };
    await host.push(signUp("ann"));
    const count = await stop();
    await expect.poll(async () => (await host.rows("ann")).length).toBe(count + 2);
    for (const { email } of await host.rows("ann")) expect(email).toEqual({ $erased: key });
    expect(await host.rows("bob")).toMatchObject([{ email: expect.stringMatching(/^plain-bob/) }]);
    const bytes = host.bytes();
    expect(bytes.includes("plain-")).toBe(false);
    expect(bytes.includes(`$erased`)).toBe(true);
    expect(await host.care.erase({ subject: "ann", yes: false, by: BY })).toMatchObject({ repeated: true, key });
    expect(await host.told("audit", "verify")).toMatchObject({ ok: true });
    expect(await host.ask("erase", "nobody", "--yes")).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/PERSONAL-UNKNOWN/),
    });
  });

  it("a hold on values of a subject goes before its erasure", async () => {
    const { care } = host;
    await care.placeHold({ name: "case-8", held: { streamPrefix: "sign-ups/" }, by: BY });
    const refused = { code: "PERSONAL-HELD", kind: "rejected", details: { hold: "case-8" } };
    await expect(care.erase({ subject: "bob", yes: true, by: BY })).rejects.toMatchObject(refused);
    await care.releaseHold({ name: "case-8", by: BY });
    expect(await care.erase({ subject: "bob", yes: true, by: BY })).toMatchObject({ repeated: false });
  });

  it("what cannot be understood is refused with a code", async () => {
    const reply = async (text: string): Promise<unknown> => {
      const socket = createConnection(host.path("care", "care.sock"));
      socket.write(text);
      let answer = "";
      for await (const part of socket.setEncoding("utf8")) answer += part;
      return answer === "" ? undefined : JSON.parse(answer);
    };
    const refused = { error: expect.objectContaining({ code: "HOST-CARE" }) };
    expect(await reply("soup\n")).toEqual(refused);
    expect(await reply('{"verb":"toString","request":{}}\n')).toEqual(refused);
    expect(await reply('{"verb":"prune","request":{"beforeMs":"now"}}\n')).toEqual(refused);
    expect(await reply('{"verb":"holds","request":{}}\n')).toEqual({ result: [] });
  });

  it("a stopped host leaves its files to the command, and what is asked is the same", async () => {
    expect(await host.stop()).toMatchObject({ code: 0 });
    expect(await host.told("log", "hold", "ls")).toEqual({ holds: [] });
    await host.start();
    await host.kill();
    expect(await host.told("log", "hold", "ls")).toEqual({ holds: [] });
  });
});

const isSealed = ({ state }: SegmentInfo): boolean => state === "sealed";

/** Of the events in a piece of a stream of server-sent ones. */
function positionsOf(text: string): number[] {
  return text
    .split("\n\n")
    .slice(0, -1)
    .filter((event) => event.includes("event: events\n") || event.includes("event: event\n"))
    .flatMap((event) => {
      const data = JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? "{}") as {
        readonly events?: readonly { readonly position: number }[];
        readonly position?: number;
      };
      return data.events?.map(({ position }) => position) ?? (data.position === undefined ? [] : [data.position]);
    });
}
