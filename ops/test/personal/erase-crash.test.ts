/** An erasure that dies at any point: what was intended is carried out by whoever opens the data next, once. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EventLog, PersonalIntake, type StreamAppend, SubjectKeys, systemEnv } from "@millrace/engine";
import { systemDisk } from "@millrace/streams/embedded";
import { memoryEventLog } from "@millrace/streams/memory";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ERASURE_STREAM, eraseSubject, finishErasures } from "../../src/personal/erase-subject.ts";

const env = systemEnv();
const BY = { principal: "officer", reason: "letter" };
const disk = systemDisk();

let directory: string;
let log: EventLog;
let keys: SubjectKeys;

const open = (): Promise<SubjectKeys> => SubjectKeys.open({ disk, directory: join(directory, "keys"), randomBytes });

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "millrace-keys-"));
  log = memoryEventLog({ env });
  keys = await open();
  const intake = new PersonalIntake(() => keys, { subject: "who", fields: ["mail"] }, "g/n");
  await intake.seal(
    [
      { who: "ann", mail: "a" },
      { who: "bob", mail: "b" },
    ],
    String,
  );
});
afterEach(async () => {
  await keys.close();
  await log.close();
  rmSync(directory, { recursive: true, force: true });
});

async function told(): Promise<{ readonly type: string; readonly principal: string }[]> {
  const events: { type: string; principal: string }[] = [];
  for await (const batch of log.readStream(ERASURE_STREAM))
    for (const { type, context } of batch) events.push({ type, principal: context.principal });
  return events;
}

/** The log, until its process dies in place of the `appends`-th append. */
function dyingAfter(appends: number): EventLog {
  let left = appends;
  return new Proxy(log, {
    get(target, name) {
      if (name === "append")
        return async (asked: readonly StreamAppend[]) => {
          if (left-- === 0) throw new Error("died");
          return target.append(asked);
        };
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

const keyBytes = (): Buffer => readFileSync(join(directory, "keys", "subjects.keys"));

async function reopen(): Promise<void> {
  await keys.close();
  keys = await open();
  await finishErasures(log, keys, env);
}

describe("an erasure", () => {
  it("that dies before its intention is told has done nothing", async () => {
    await expect(eraseSubject(dyingAfter(0), keys, env, "ann", BY)).rejects.toThrow("died");
    await reopen();
    expect(keys.find("ann")).toMatchObject({ isErased: false });
    expect(await told()).toEqual([]);
  });

  it("that dies between intention and key is carried out by the next that opens", async () => {
    const { destroy } = keys;
    keys.destroy = () => Promise.reject(new Error("died"));
    await expect(eraseSubject(log, keys, env, "ann", BY)).rejects.toThrow("died");
    keys.destroy = destroy;
    expect(keys.find("ann")).toMatchObject({ isErased: false });
    await reopen();
    expect(keys.find("ann")).toMatchObject({ isErased: true });
    expect(await told()).toEqual([
      { type: "ErasureIntended", principal: "officer" },
      { type: "SubjectErased", principal: "officer" },
    ]);
  });

  it("that dies between key and event is told by the next that opens, once, with who asked", async () => {
    await expect(eraseSubject(dyingAfter(1), keys, env, "ann", BY)).rejects.toThrow("died");
    await reopen();
    await reopen();
    expect(keys.find("ann")).toMatchObject({ isErased: true });
    expect(await told()).toHaveLength(2);
    expect((await told())[1]).toEqual({ type: "SubjectErased", principal: "officer" });
  });

  it("is told although the log knows of none", async () => {
    await keys.destroy(keys.find("ann")?.key ?? "");
    await reopen();
    expect(await told()).toEqual([{ type: "SubjectErased", principal: "system" }]);
  });

  it("leaves no byte of its key in the file, and every byte of the others", async () => {
    const before = keyBytes();
    const { key: id } = keys.find("ann") ?? { key: "" };
    const known = keys.key(id);
    const secret = typeof known === "object" ? Buffer.from(known.bytes) : Buffer.alloc(0);
    expect(before.includes(secret)).toBe(true);
    expect(secret).toHaveLength(64);
    await eraseSubject(log, keys, env, "ann", BY);
    const after = keyBytes();
    expect(after).toHaveLength(before.length);
    for (const half of [secret.subarray(0, 32), secret.subarray(32)]) expect(after.includes(half)).toBe(false);
    await reopen();
    expect(keys.keyOf("bob")).toMatchObject({ bytes: expect.anything() });
  });
});
