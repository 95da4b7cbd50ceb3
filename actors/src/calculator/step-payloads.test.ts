import {
  type Json,
  PayloadArchive,
  PayloadExchange,
  PayloadIntake,
  type PayloadReference,
  referenceValue,
} from "@millrace/engine";
import {
  type PayloadRuleId,
  payloadRulesWithout,
  SimulatedDisk,
  SimulatedMount,
  SimulatedPayloadStore,
  virtualEnv,
} from "@millrace/engine/testing";
import { describe, expect, it } from "vitest";
import { actorError } from "../errors.ts";
import type { Outcome } from "./calculator-host.ts";
import { StepPayloads } from "./step-payloads.ts";

async function stepOf(off: readonly PayloadRuleId[]) {
  const env = virtualEnv(3);
  const disk = new SimulatedDisk({ env, random: env.random.fork("disk") });
  disk.makeDirectory("/data");
  const log = { durableEnd: 0, async *read() {} };
  const archive = await env.until(
    PayloadArchive.open({ disk: new SimulatedMount(disk), directory: "/data/payloads", log }),
  );
  const store = new SimulatedPayloadStore("store", 1e6);
  const exchange = new PayloadExchange({ store, archive, isMapped: true, rules: payloadRulesWithout(off) });
  const intake = new PayloadIntake(() => exchange, { above: 100, readers: 1 });
  const made = await env.until(exchange.intern(new Uint8Array(200).fill(1), "raw", exchange.scope()));
  return { env, store, exchange, made, step: new StepPayloads({ exchange, intake }) };
}

const rowOf = (reference: PayloadReference): Json => ({ image: referenceValue(reference) });

describe("StepPayloads", () => {
  /** Runs a row whose lease is revoked while it is read. */
  const runRevoked = async (off: readonly PayloadRuleId[], outcome: Outcome): Promise<readonly Outcome[]> => {
    const { env, store, made, step } = await stepOf(off);
    store.revokesNext = true;
    const running = step.run([rowOf(made)], async () => [outcome]);
    running.catch(() => undefined);
    return env.until(running);
  };

  it("believes no result of bytes that may have been another payload's (P-R6)", async () => {
    const wrong = { out: [{ mean: 255 }] };
    await expect(runRevoked([], wrong)).rejects.toMatchObject({ code: "PAYLOAD-LEASE-LOST", kind: "transient" });
    expect(await runRevoked(["P-R6"], wrong)).toEqual([wrong]);
  });

  it("does not take a good message for poison because its bytes were torn (P-R7)", async () => {
    const failed = { error: actorError("CALC-THREW", "it does not parse"), attempts: 1 };
    await expect(runRevoked([], failed)).rejects.toMatchObject({ code: "PAYLOAD-LEASE-LOST", kind: "transient" });
    expect(await runRevoked(["P-R7"], failed)).toEqual([failed]);
  });

  it("fails a row whose payload nobody has, and no other", async () => {
    const { env, made, step, exchange } = await stepOf([]);
    const gone = { ...made, sha256: "0".repeat(64) };
    const seen: Json[] = [];
    const rows = [rowOf(made), rowOf(gone), { plain: true }];
    const outcomes = await env.until(
      step.run(rows, async (able) => {
        seen.push(...able);
        return able.map((row) => ({ out: [row] }));
      }),
    );
    expect(seen).toEqual([rows[0], rows[2]]);
    expect(outcomes).toMatchObject([{ out: [rows[0]] }, { error: { code: "PAYLOAD-MISSING" } }, { out: [rows[2]] }]);
    expect(exchange.counters().holds).toBe(1);
  });

  it("puts what a row made into the store until the step ends, and keeps small bytes in the message", async () => {
    const { env, store, step, exchange } = await stepOf([]);
    const outcomes = await env.until(
      step.run([{}], async (_, { take }) => {
        const made = { large: new Uint8Array(300).fill(2), small: new Uint8Array([9]) };
        const draft = (bytes: Uint8Array) => ({ $payload: { format: "npy", bytes } });
        return [{ out: await take([{ large: draft(made.large), deep: [{ small: draft(made.small) }] }]) }];
      }),
    );
    expect(outcomes).toMatchObject([
      { out: [{ large: { $payload: { length: 300 } }, deep: [{ small: { $payload: { base64: "CQ==" } } }] }] },
    ]);
    expect(store.stats().payloads).toBe(2);
    step.end();
    await env.until(exchange.settled());
    expect(store.stats().payloads).toBe(1);
  });
});
