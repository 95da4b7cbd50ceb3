import { systemEnv } from "@millrace/engine";
import { sampleEvent, to } from "@millrace/engine/testing";
import { memoryEventLog } from "@millrace/streams/memory";
import { expect, it } from "vitest";
import { askedLog } from "./asked-log.ts";

it("is the log, whose reads of streams end when whoever asked has left", async () => {
  const log = memoryEventLog({ env: systemEnv() });
  for (let i = 0; i < 3; i++) await log.append(to("s", sampleEvent({})));
  const asker = new AbortController();
  const asked = askedLog(log, asker.signal);
  expect([asked.id, asked.durableEnd, await asked.head("s")]).toEqual([log.id, 3, 2]);
  const revisions: number[] = [];
  for await (const events of asked.readStream("s", { from: 1 }))
    revisions.push(...events.map(({ revision }) => revision));
  expect(revisions).toEqual([1, 2]);
  const reading = (async () => {
    for await (const _ of asked.readStream("s")) asker.abort(new Error("gone"));
  })();
  await expect(reading).rejects.toThrow("gone");
  await expect(asked.readStream("s")[Symbol.asyncIterator]().next()).rejects.toThrow("gone");
});
