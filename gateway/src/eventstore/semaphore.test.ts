import { expect, it } from "vitest";
import { Semaphore } from "./semaphore.ts";

it("lets in as many as it has permits, the others in order as those before settle, whatever becomes of them", async () => {
  const semaphore = new Semaphore(2);
  const order: string[] = [];
  const gates = new Map<string, () => void>();
  const enter = (name: string, fails = false): Promise<void> =>
    semaphore.holding(async () => {
      order.push(name);
      await new Promise<void>((resolve) => gates.set(name, resolve));
      if (fails) throw new Error(name);
    });
  const first = enter("a", true);
  const second = enter("b");
  const third = enter("c");
  const fourth = enter("d");
  expect(order).toEqual(["a", "b"]);
  gates.get("a")?.();
  await expect(first).rejects.toThrow("a");
  expect(order).toEqual(["a", "b", "c"]);
  gates.get("b")?.();
  await second;
  expect(order).toEqual(["a", "b", "c", "d"]);
  gates.get("c")?.();
  await third;
  const late = enter("e");
  expect(order.at(-1)).toBe("e");
  gates.get("d")?.();
  gates.get("e")?.();
  await Promise.all([fourth, late]);
});
