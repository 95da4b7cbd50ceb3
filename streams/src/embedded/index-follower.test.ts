import { virtualEnv } from "@millrace/engine/testing";
import { expect, test } from "vitest";
import { Dictionary } from "./dictionary.ts";
import { IndexFollower, type IndexFollowerOptions } from "./index-follower.ts";

test("a store that fails is asked again after a while, not at once and over and over, and the failure is shown until then", async () => {
  const env = virtualEnv("follower");
  const block = { first: 0, count: 1, serial: 1, offset: 64, headCrc: 0, bytes: 512 };
  const tail = {
    blocks: [block],
    base: 0,
    size: 1,
    end: 1,
    release: () => void tail.blocks.splice(0),
  };
  const asked: number[] = [];
  let isBroken = true;
  const indexer = {
    jobEventsMax: 10,
    restShare: 0,
    async index() {
      asked.push(env.clock.monotonic());
      // Over and over would be for ever.
      if (asked.length > 100) await new Promise(() => undefined);
      if (isBroken) throw new Error("full");
    },
    catchUp: async () => undefined,
    close: async () => undefined,
  };
  const follower = new IndexFollower({
    env,
    logId: "log",
    indexer,
    tail: tail as unknown as IndexFollowerOptions["tail"],
    names: new Dictionary({ numberOf: () => undefined, nameOf: () => undefined }),
    lingerMs: 0,
    urgentEvents: 1000,
    onProgress: () => undefined,
  });
  follower.wake();
  await env.advance(2500);
  expect(asked).toHaveLength(3);
  expect(follower.failure).toMatchObject({ message: "full" });
  isBroken = false;
  await env.advance(1000);
  expect([asked.length, follower.failure, tail.blocks.length]).toEqual([4, undefined, 0]);
  await follower.stop();
  await env.idle();
});
