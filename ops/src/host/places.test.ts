import { expect, it } from "vitest";
import { Places } from "./places.ts";

/** Pieces of work that end when they are told to, and the names of those that have begun. */
function works() {
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const work = (name: string) => (): Promise<void> => {
    begun.push(name);
    return new Promise((resolve) => {
      ends.set(name, resolve);
    });
  };
  return { begun, work, end: (name: string) => ends.get(name)?.() };
}

it("gives its places in the order of arrival, and none to who has left", async () => {
  const places = new Places(2);
  const { begun, work, end } = works();
  const stays = new AbortController().signal;
  const leaver = new AbortController();
  const [a, b] = [places.use(stays, work("a")), places.use(stays, work("b"))];
  const c = places.use(leaver.signal, work("c"));
  const d = places.use(stays, work("d"));
  const e = places.use(stays, () => Promise.reject(new Error("e failed")));
  const f = places.use(stays, work("f"));
  await Promise.resolve();
  expect(begun).toEqual(["a", "b"]);
  leaver.abort(new Error("gone"));
  await expect(c).rejects.toThrow("gone");
  end("a");
  await a;
  end("b");
  await b;
  await expect(e).rejects.toThrow("e failed");
  expect(begun).toEqual(["a", "b", "d", "f"]);
  end("d");
  end("f");
  await Promise.all([d, f]);
  await expect(places.use(leaver.signal, work("g"))).rejects.toThrow("gone");
  expect(begun).not.toContain("g");
});
