/** Projections survive a restart: states, checkpoints and what they emit are one append, so that every event has its effect once. */
import { setTimeout as pause } from "node:timers/promises";
import { EventStoreDBClient, jsonEvent } from "@eventstore/db-client";
import { systemEnv } from "@millrace/engine";
import { openProjectionScript } from "@millrace/projections";
import { expect, it } from "vitest";
import { LOGS, type ServedLog, serveLog } from "./served-log.ts";

const connect = ({ address }: ServedLog) => EventStoreDBClient.connectionString(`esdb://${address}?tls=false`);

async function until<T>(ask: () => Promise<T>, isWanted: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (isWanted(answer)) return answer;
    await pause(5);
  }
}

it.each(LOGS)(
  "handle every event of the %s log once, however often everything is closed and opened",
  async (kind) => {
    let served = await serveLog(kind);
    let client = connect(served);
    try {
      const query = `fromCategory("acc").foreachStream().when({
        $init: () => ({ sum: 0 }),
        Counted: (s, e) => { s.sum += e.data.n; emit("out", "Seen", { n: e.data.n }); },
        $deleted: (s) => { s.isGone = true; },
      })`;
      await client.createProjection("sums", query, { emitEnabled: true });
      await client.createProjection("still", "fromAll().when({ $init: () => ({ n: 0 }), $any: (s) => { s.n += 1; } })");
      await client.disableProjection("still");
      for (let round = 0; round < 4; round++) {
        const events = Array.from({ length: 100 }, (_, i) =>
          jsonEvent({ type: "Counted", data: { n: round * 100 + i } }),
        );
        await client.appendToStream(`acc-${round % 2}`, events);
        await client.dispose();
        served = await served.reopened();
        client = connect(served);
      }
      await client.deleteStream("acc-1");
      const of = (partition: string) =>
        client.getProjectionState<{ sum: number; isGone?: true }>("sums", { partition });
      const sums = [0, 2].reduce((sum, round) => sum + round * 100 * 100 + 4950, 0);
      expect(
        await until(
          () => of("acc-0"),
          ({ sum }) => sum >= sums,
        ),
      ).toEqual({ sum: sums });
      expect(
        await until(
          () => of("acc-1"),
          ({ isGone }) => isGone === true,
        ),
      ).toEqual({ sum: sums + 20_000, isGone: true });
      const seen: number[] = [];
      for await (const { event } of client.readStream<{ type: "Seen"; data: { n: number } }>("out"))
        if (event) seen.push(event.data.n);
      expect(seen).toEqual(Array.from({ length: 400 }, (_, n) => n));
      expect((await client.getProjectionStatus("still")).projectionStatus).toBe("Stopped");
      await expect(
        client.appendToStream("$projections-sums-checkpoint", [jsonEvent({ type: "x", data: {} })]),
      ).rejects.toMatchObject({ type: "access-denied" });
    } finally {
      await client.dispose();
      await served.close();
    }
  },
  60_000,
);

it("ends a script that does not come back, and nothing waits for it meanwhile", async () => {
  const watchdogs: (() => void)[] = [];
  const machine = systemEnv();
  const timers = { after: (_ms: number, bark: () => void) => ({ cancel: () => {}, at: watchdogs.push(bark) }) };
  const limits = { stepsMax: Number.POSITIVE_INFINITY };
  const query = "fromAll().when({ $any: () => { for (;;); } })";
  const script = await openProjectionScript(query, { env: { ...machine, timers }, limits, callMsMax: 7 });
  const event = {
    isJson: true,
    data: {},
    metadata: {},
    bodyRaw: "{}",
    metadataRaw: "",
    linkMetadataRaw: "",
    eventId: "",
  };
  const batch = script.batch([{ ...event, sequenceNumber: 0, eventType: "T", streamId: "s", created: "" }]);
  let turns = 0;
  const turning = (async () => {
    for (; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve));
  })();
  const ended = expect(batch).rejects.toMatchObject({
    code: "PROJECTION-LIMIT",
    message: "the projection was ended: it took more than 7 ms",
  });
  await turning;
  expect(turns).toBe(20);
  watchdogs.at(-1)?.();
  await ended;
  await expect(script.batch([])).rejects.toMatchObject({ code: "PROJECTION-LIMIT" });
  await script.close();
});
