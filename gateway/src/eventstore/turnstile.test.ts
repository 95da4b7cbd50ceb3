import { expect, it } from "vitest";
import { Turnstile } from "./turnstile.ts";

it("lets one in at a time per key, in order, whatever becomes of those before", async () => {
  const turnstile = new Turnstile();
  const order: string[] = [];
  const gates = new Map<string, () => void>();
  const enter = (key: string, name: string, fails = false): Promise<void> =>
    turnstile.pass(key, async () => {
      order.push(name);
      await new Promise<void>((resolve) => gates.set(name, resolve));
      if (fails) throw new Error(name);
    });
  const first = enter("a", "a1", true);
  const second = enter("a", "a2");
  const other = enter("b", "b1");
  expect(order).toEqual(["a1", "b1"]);
  gates.get("a1")?.();
  await expect(first).rejects.toThrow("a1");
  expect(order).toEqual(["a1", "b1", "a2"]);
  gates.get("a2")?.();
  gates.get("b1")?.();
  await Promise.all([second, other]);
  const late = enter("a", "a3");
  expect(order.at(-1)).toBe("a3");
  gates.get("a3")?.();
  await late;
});
