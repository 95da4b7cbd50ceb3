/** An erasure answers when what was being delivered is over; it does not wait for ever. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PersonalIntake, SubjectKeys } from "@millrace/engine";
import { SimulatedDisk, SimulatedMount, virtualEnv } from "@millrace/engine/testing";
import { memoryEventLog } from "@millrace/streams/memory";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openSession, type Session } from "../../src/cli/session.ts";
import { ERASURE_STREAM, eraseSubject } from "../../src/personal/erase-subject.ts";
import { lastJson, millrace } from "../millrace.ts";

const BY = { principal: "officer", reason: "letter" };
const SUBJECT = { who: "ann", mail: "plain-ann" };

describe("an erasure", () => {
  it("waits half a minute for a delivery that hangs, says so, and ends when it is asked again", async () => {
    const env = virtualEnv("erase");
    const log = memoryEventLog({ env });
    const disk = new SimulatedMount(new SimulatedDisk({ env, random: env.random.fork("disk") }));
    const keys = await env.until(SubjectKeys.open({ disk, directory: "/keys", randomBytes }));
    const intake = new PersonalIntake(() => keys, { subject: "who", fields: ["mail"] }, "g/n");
    const [sealed] = await env.until(intake.seal([SUBJECT], String));
    const revelation = keys.revelation();
    expect(revelation.reveal(sealed as never)).toEqual(SUBJECT);
    const told = async (): Promise<string[]> => {
      const types: string[] = [];
      for await (const batch of log.readStream(ERASURE_STREAM)) types.push(...batch.map(({ type }) => type));
      return types;
    };

    const startedMs = env.clock.monotonic();
    const erasing = eraseSubject(log, keys, env, "ann", BY);
    await expect(env.until(erasing)).rejects.toMatchObject({ code: "PERSONAL-DELIVERY" });
    expect(env.clock.monotonic() - startedMs).toBeGreaterThanOrEqual(30_000);
    expect(keys.find("ann")?.isErased).toBe(true);
    expect(await told()).toEqual(["ErasureIntended"]);

    const hurry = new AbortController();
    const hurried = eraseSubject(log, keys, env, "ann", BY, hurry.signal);
    hurry.abort();
    await expect(env.until(hurried)).rejects.toMatchObject({ code: "PERSONAL-DELIVERY" });

    const again = eraseSubject(log, keys, env, "ann", BY);
    await env.advance(10);
    revelation.end();
    expect(await env.until(again)).toMatchObject({ repeated: false });
    expect((await told()).at(-1)).toBe("SubjectErased");
  });
});

describe("a host whose sink reveals", () => {
  let directory: string;
  let server: Server;
  let session: Session;
  const waiting: { readonly body: string; readonly response: ServerResponse }[] = [];

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "millrace-erase-delivery-"));
    server = createServer(async (request, response) => {
      let body = "";
      for await (const part of request.setEncoding("utf8")) body += part as string;
      waiting.push({ body, response });
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const graph = `
name: mails
nodes:
  in:  { kind: source, from: "http:/in", personal: { subject: who, fields: [mail] } }
  out: { kind: sink, input: in, to: "http://127.0.0.1:${port}/", reveal: true }
`;
    writeFileSync(join(directory, "graph.yaml"), graph);
    const files = [join(directory, "graph.yaml")];
    session = await openSession({ files, data: join(directory, "data"), port: 0, untilDone: false });
  });
  afterEach(async () => {
    for (const { response } of waiting.splice(0)) response.end();
    server.on("request", (_, response) => response.end());
    await session.close("the test is over");
    server.closeAllConnections();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it("answers when its target has", async () => {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify([SUBJECT]);
    const pushed = await fetch(new URL("/api/v1/graphs/mails/push/in", session.url), { method: "POST", headers, body });
    expect(pushed.status).toBe(200);
    await expect.poll(() => waiting.length).toBe(1);
    expect(waiting[0]?.body).toContain("plain-ann");
    let isAnswered = false;
    const erased = millrace(["erase", "ann", "--yes", "--data", join(directory, "data"), "--json"]).finally(() => {
      isAnswered = true;
    });
    const types = async (): Promise<readonly string[]> => {
      const answer = await fetch(new URL("/api/v1/events?stream=%24erasure&direction=forward", session.url));
      return ((await answer.json()) as { events: { type: string }[] }).events.map(({ type }) => type);
    };
    await expect.poll(types).toEqual(["ErasureIntended"]);
    // The key goes before the wait: reads show the value as erased, and nobody was told that it is over.
    const shown = async (): Promise<string> => (await fetch(new URL("/api/v1/events?graph=mails", session.url))).text();
    await expect.poll(shown).toContain("$erased");
    expect(await shown()).not.toContain("plain-ann");
    expect([isAnswered, await types()]).toEqual([false, ["ErasureIntended"]]);
    for (const { response } of waiting.splice(0)) response.end();
    const { code, stdout } = await erased;
    expect({ code, answer: lastJson(stdout) }).toMatchObject({ code: 0, answer: { repeated: false } });
    expect(await types()).toEqual(["ErasureIntended", "SubjectErased"]);
  }, 60_000);
});
