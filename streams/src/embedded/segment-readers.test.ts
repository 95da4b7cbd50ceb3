import type { Disk } from "@millrace/engine";
import { expect, test } from "vitest";
import { loadZstd } from "../compression/zstd.ts";
import { SegmentReaders } from "./segment-readers.ts";

test("a segment that cannot be read keeps no file open, and is opened again", async () => {
  let isBad = true;
  let opened = 0;
  let closed = 0;
  const file = {
    read: (into: Uint8Array) => (isBad ? Promise.reject(new Error("EIO")) : Promise.resolve(into.length)),
    close: async () => void closed++,
  };
  const disk = { open: async () => file } as unknown as Disk;
  const counted = new Proxy(disk, {
    get: (target, name, own) => {
      if (name === "open") opened++;
      return Reflect.get(target, name, own) as unknown;
    },
  });
  const readers = new SegmentReaders(counted, "/log", { zstd: loadZstd });
  const read = () => readers.read(1, new Uint8Array(8), 0);
  await Promise.allSettled([read(), read()]);
  await Promise.allSettled([read()]);
  expect([opened, closed]).toEqual([2, 2]);
  isBad = false;
  await read();
  await readers.close();
  expect([opened, closed]).toEqual([3, 3]);
});
