import type { EventLog } from "@millrace/engine";
import { expect, it } from "vitest";
import { conditionIn } from "./append-condition.ts";

const log = { durableEnd: 8 } as EventLog;
const metadata = (text: string): Uint8Array => new TextEncoder().encode(text);

it.each([undefined, "", '{"by":"a"}', '{"text":"\\"$condition\\""}', 'no JSON, "$condition"'])(
  "an append without a condition waits for nothing: %s",
  (text) => {
    expect(conditionIn(text === undefined ? undefined : metadata(text), log)).toBe(undefined);
  },
);

it("a condition is read, or refused", async () => {
  const condition = (after: unknown): Uint8Array =>
    metadata(JSON.stringify({ $condition: { none: [{ graph: "g" }], after } }));
  await expect(conditionIn(condition(7), log)).resolves.toEqual({ none: [{ graph: "g" }], after: 7 });
  await expect(conditionIn(condition(8), log)).rejects.toMatchObject({ code: "EVENTSTORE-INVALID" });
  await expect(conditionIn(condition("x"), log)).rejects.toMatchObject({ code: "EVENTSTORE-INVALID" });
});
