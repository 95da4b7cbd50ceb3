/**
 * Payloads, crashes and step commits, seeded: a host makes payloads, appends steps that name them and throws others away, and
 * loses power at any moment. Whatever happens, the log never names bytes that are gone, and no bytes stay that it does not name.
 */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { EventLog } from "../src/log/event-log.ts";
import { PayloadArchive } from "../src/payload/payload-archive.ts";
import { PayloadExchange } from "../src/payload/payload-exchange.ts";
import { type PayloadReference, referencesIn, referenceValue } from "../src/payload/payload-value.ts";
import { sampleEvent } from "../src/testing/sample-events.ts";
import { SimulatedDisk } from "../src/testing/simulated-disk.ts";
import { SimulatedMount } from "../src/testing/simulated-mount.ts";
import { SimulatedPayloadStore } from "../src/testing/simulated-payload-store.ts";
import { SimulatedLog } from "../src/testing/simulation/simulated-log.ts";
import { type VirtualEnv, virtualEnv } from "../src/testing/virtual-env.ts";
import { sleep } from "../src/time/clock.ts";

const SEEDS = 60;
const LIVES = 5;
const STEPS = 12;
const DIRECTORY = "/data/payloads";

/** What a faulty host would do. */
type Fault = "append before the archive has it" | "free what is on its way to the disk" | "keep no markers";

interface Outcome {
  dangling: number;
  leaked: number;
  heldAtEnd: number;
  named: number;
  lostSteps: number;
}

async function simulated(seed: number, fault?: Fault): Promise<Outcome> {
  const env = virtualEnv(seed);
  const random = env.random.fork("workload");
  const disk = new SimulatedDisk({ env, random: env.random.fork("disk") });
  disk.makeDirectory("/data");
  const log = new SimulatedLog({ env, random: env.random.fork("log") });
  const outcome: Outcome = { dangling: 0, leaked: 0, heldAtEnd: 0, named: 0, lostSteps: 0 };
  for (let life = 0; life < LIVES; life++) {
    const client = log.open(env);
    const { exchange, mount } = await env.until(started(disk, client, life));
    const work = steps({ env, exchange, client, life, fault, random });
    await env.until(Promise.race([work, sleep(env, random.below(120))]));
    mount.kill();
    log.crash();
    disk.powerCut();
  }
  const { exchange } = await env.until(started(disk, log.open(env), LIVES));
  const named = namedIn(log);
  for (const reference of named.values()) {
    const bytes = await env.until(readOf(exchange, reference));
    if (bytes === undefined || hashOf(bytes) !== reference.sha256) outcome.dangling++;
  }
  await env.until(exchange.settled());
  outcome.leaked = objectsIn(disk).filter((sha256) => !named.has(sha256)).length;
  outcome.heldAtEnd = exchange.counters().holds;
  outcome.named = named.size;
  outcome.lostSteps = log.counts.lostAppends;
  return outcome;
}

async function started(disk: SimulatedDisk, log: EventLog, life: number) {
  const mount = new SimulatedMount(disk);
  const archive = await PayloadArchive.open({ disk: mount, directory: DIRECTORY, log });
  const store = new SimulatedPayloadStore(`life ${life}`, 2000);
  return { mount, exchange: new PayloadExchange({ store, archive, isMapped: true }) };
}

interface Work {
  readonly env: VirtualEnv;
  readonly exchange: PayloadExchange;
  readonly client: EventLog;
  readonly life: number;
  readonly fault: Fault | undefined;
  readonly random: VirtualEnv["random"];
}

/** Steps as a committed actor makes them: draft, append, and what follows once it is durable. */
async function steps({ env, exchange, client, life, fault, random }: Work): Promise<void> {
  for (let i = 0; i < STEPS; i++) {
    const draft = exchange.scope();
    const bytes = new Uint8Array(100 + random.below(900)).fill(random.below(256));
    bytes[0] = life;
    bytes[1] = i;
    const making = exchange.intern(bytes, "raw", draft);
    const isEarly = fault === "append before the archive has it";
    const reference = isEarly ? { sha256: hashOf(bytes), format: "raw" as const, length: bytes.length } : await making;
    if (random.chance(0.3)) {
      await making;
      draft.end();
      continue;
    }
    exchange.retain(reference);
    draft.end();
    if (fault === "keep no markers") {
      exchange.keep([reference]);
      await sleep(env, 20);
    }
    if (fault === "free what is on its way to the disk") {
      exchange.release(reference);
      await exchange.settled();
    }
    const payload = Buffer.from(JSON.stringify({ emitted: referenceValue(reference) }));
    await client.append([{ stream: "node", expected: "any", events: [sampleEvent({ payload })] }]);
    await making;
    exchange.keep([reference]);
    exchange.release(reference);
  }
}

async function readOf(exchange: PayloadExchange, reference: PayloadReference): Promise<Uint8Array | undefined> {
  try {
    const lease = await exchange.open(reference);
    const bytes = lease.bytes.slice();
    return lease.release() ? bytes : undefined;
  } catch {
    return undefined;
  }
}

function namedIn(log: SimulatedLog): Map<string, PayloadReference> {
  const named = new Map<string, PayloadReference>();
  for (const { payload } of log.events) referencesIn(JSON.parse(Buffer.from(payload).toString()), named);
  return named;
}

function objectsIn(disk: SimulatedDisk): string[] {
  try {
    return disk.namesIn(`${DIRECTORY}/objects`).map((path) => path.slice(path.lastIndexOf("/") + 1));
  } catch {
    return [];
  }
}

const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

async function total(fault?: Fault): Promise<Outcome> {
  const sum: Outcome = { dangling: 0, leaked: 0, heldAtEnd: 0, named: 0, lostSteps: 0 };
  for (let seed = 1; seed <= SEEDS; seed++) {
    const one = await simulated(seed, fault);
    for (const key of Object.keys(sum) as (keyof Outcome)[]) sum[key] += one[key];
  }
  return sum;
}

describe("payloads through crashes", () => {
  it("never dangle and never leak", async () => {
    const { named, lostSteps, ...faults } = await total();
    expect(faults).toEqual({ dangling: 0, leaked: 0, heldAtEnd: 0 });
    expect(named).toBeGreaterThan(SEEDS);
    expect(lostSteps).toBeGreaterThan(0);
  }, 60_000);

  it.each([
    ["append before the archive has it", "dangling"],
    ["free what is on its way to the disk", "dangling"],
    ["keep no markers", "leaked"],
  ] as const)(
    "would, if a host did: %s",
    async (fault, shown) => {
      expect((await total(fault))[shown]).toBeGreaterThan(0);
    },
    60_000,
  );
});
