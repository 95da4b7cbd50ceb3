/** A data directory as a host leaves it, with as many events as asked for, in appends of some dozens. */
import { type EventLog, systemEnv } from "@millrace/engine";
import { sampleEvents, to } from "@millrace/engine/testing";
import { openData } from "../../src/host/open-data.ts";

const APPEND_EVENTS = 35;

/** Adds events and signs them. */
export async function addEvents(path: string, count: number): Promise<void> {
  const data = await openData({ path, env: systemEnv(), onFatal: (error) => expectNone(error) });
  await appendEvents(data.log, count);
  await data.close();
}

export async function appendEvents(log: EventLog, count: number): Promise<void> {
  for (let left = count; left > 0; left -= APPEND_EVENTS) {
    const payload = Buffer.from(`{"left":${left}}`);
    const events = sampleEvents(Math.min(left, APPEND_EVENTS), { payload, type: `Counted${left % 3}` });
    await log.append(to(`counts-${left % 5}`, events));
  }
}

function expectNone(error: Error): never {
  throw error;
}
