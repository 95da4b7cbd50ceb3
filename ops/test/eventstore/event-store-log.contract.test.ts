/** The log on an EventStoreDB server, against our own endpoint: the one server of that protocol that the tests can start. */
import { systemEnv } from "@millrace/engine";
import { eventLogContract, gather, sampleEvent, sampleEvents, to } from "@millrace/engine/testing";
import { openEventStoreLog } from "@millrace/streams/event-store";
import { afterEach, describe, expect, it } from "vitest";
import { type ServedLog, serveLog } from "./served-log.ts";

const env = systemEnv();
const connectionString = ({ address }: ServedLog): string => `esdb://${address}?tls=false`;

eventLogContract("the EventStoreDB log", async () => {
  const served = await serveLog("memory");
  const open = () => openEventStoreLog({ connectionString: connectionString(served), env });
  let log = await open();
  return {
    log,
    oneStream: true,
    reopen: async () => {
      await log.close();
      log = await open();
      return log;
    },
    destroy: async () => {
      await log.close();
      await served.close();
    },
  };
});

describe("the EventStoreDB log", () => {
  const opened: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const one of opened.splice(0).reverse()) await one.close();
  });
  const open = async (served: ServedLog) => {
    const log = await openEventStoreLog({ connectionString: connectionString(served), env });
    opened.push(log);
    return log;
  };
  const serve = async (): Promise<ServedLog> => {
    const served = await serveLog("memory");
    opened.push(served);
    return served;
  };

  it("sees what another writer appends, and is fenced by it", async () => {
    const served = await serve();
    const [mine, others] = [await open(served), await open(served)];
    await mine.append(to("s", sampleEvent(), "none"));
    await others.append(to("s", sampleEvents(2), 0));
    await expect.poll(() => mine.durableEnd).toBe(3);
    expect((await gather(mine.read())).map(({ revision }) => revision)).toEqual([0, 1, 2]);
    await expect(mine.append(to("s", sampleEvent(), 0))).rejects.toMatchObject({
      code: "LOG-WRONG-REVISION",
      details: { stream: "s", expected: 0, actual: 2 },
    });
  });

  it("reads what other clients wrote, with an empty context", async () => {
    const served = await serve();
    const { EventStoreDBClient, jsonEvent } = await import("@eventstore/db-client");
    const client = EventStoreDBClient.connectionString(connectionString(served));
    await client.appendToStream("s", jsonEvent({ type: "T", data: { n: 1 } }));
    await client.dispose();
    const [event] = await gather((await open(served)).readStream("s"));
    expect(event).toMatchObject({ type: "T", schemaVersion: 0, context: { graph: "", principal: "" } });
    expect(JSON.parse(Buffer.from(event?.payload ?? []).toString())).toEqual({ n: 1 });
  });

  it("goes on where it was when the server comes back", async () => {
    let served = await serveLog("embedded");
    const log = await open(served);
    await log.append(to("s", sampleEvents(3)));
    const abort = new AbortController();
    const seen: number[] = [];
    const following = (async () => {
      for await (const { events } of log.subscribe({ signal: abort.signal })) {
        seen.push(...events.map(({ position }) => position));
        if (seen.length === 5) abort.abort();
      }
    })();
    await expect.poll(() => seen.length).toBe(3);
    served = await served.reopened();
    const appends = to("s", sampleEvents(2), 2);
    // The first call after the loss may be the one that finds out; its ids make it safe to ask again.
    await log.append(appends).catch((thrown: unknown) => {
      expect(thrown).toMatchObject({ code: "LOG-UNKNOWN" });
      return log.append(appends);
    });
    await following;
    expect(seen).toEqual([0, 1, 2, 3, 4]);
    expect(await log.head("s")).toBe(4);
    await log.close();
    await served.close();
  });

  it("says so when nobody answers, and when the string is none", async () => {
    const served = await serveLog("memory");
    await served.close();
    const gone = openEventStoreLog({ connectionString: connectionString(served), env });
    await expect(gone).rejects.toMatchObject({ code: "ESDB-UNREACHABLE" });
    const secret = { connectionString: "esdb://me:secret@", env };
    const refused = await openEventStoreLog(secret).catch((thrown: unknown) => thrown);
    expect(refused).toMatchObject({ code: "ESDB-CONFIG" });
    expect(JSON.stringify(refused)).not.toContain("secret");
  });
});
