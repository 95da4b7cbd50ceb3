import { getEventListeners } from "node:events";
import { systemEnv } from "@millrace/engine";
import { memoryEventLog } from "@millrace/streams/memory";
import { expect, it } from "vitest";
import { DEAD_LETTER_REDRIVEN, GraphStream, SYSTEM } from "./graph-stream.ts";
import { redriveSource } from "./redrive-source.ts";

function redrivenStream() {
  const env = systemEnv();
  const stream = new GraphStream(memoryEventLog({ env }), env, "g");
  const send = (id: string) =>
    stream.append([{ type: DEAD_LETTER_REDRIVEN, node: "n", payload: { id, input: { id } } }], SYSTEM);
  return { stream, send };
}

it("a source of redriven messages waits for the next append, also for one that came as it looked", async () => {
  const { stream, send } = redrivenStream();
  const reader = await redriveSource(stream, "n", false).open("0", -1);
  expect(await reader.read(100)).toBe("idle");
  const waits = reader.read(100);
  await send("a");
  expect(await waits).toBe("idle");
  expect(await reader.read(100)).toMatchObject({ through: 0 });
  expect(await reader.read(100)).toBe("idle");
  const { appends } = stream;
  await send("b");
  await stream.appended(appends, new AbortController().signal);
  expect(await reader.read(100)).toMatchObject({ through: 1 });
  expect(await reader.read(100)).toBe("idle");
  const ends = reader.read(100);
  await reader.close();
  expect(await ends).toBe("idle");
});

it("who waits for an append leaves nothing at the signal that would have ended the wait", async () => {
  const { stream, send } = redrivenStream();
  const { signal } = new AbortController();
  for (let i = 0; i < 3; i++) {
    const waits = stream.appended(stream.appends, signal);
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    await send(String(i));
    await waits;
    expect(getEventListeners(signal, "abort")).toEqual([]);
  }
});

it("a read that finds something leaves nobody waiting", async () => {
  const { stream, send } = redrivenStream();
  const waits: number[] = [];
  const appended = stream.appended.bind(stream);
  stream.appended = (appends, signal) => {
    waits.push(appends);
    return appended(appends, signal);
  };
  const reader = await redriveSource(stream, "n", false).open("0", -1);
  for (let i = 0; i < 20; i++) {
    await send(String(i));
    expect(await reader.read(100)).toMatchObject({ through: i });
  }
  expect(waits).toEqual([]);
});
