import { Script } from "node:vm";
import type { RecordedEvent } from "@millrace/engine";
import { expect, it, onTestFinished, vi } from "vitest";
import { readFilter } from "./name-filter.ts";
import { WireMessage } from "./wire-reader.ts";
import { WireWriter } from "./wire-writer.ts";

const byType = (regex: string) =>
  readFilter(new WireMessage(new WireWriter().message(2, (by) => by.text(1, regex)).finish()));
const event = (type: string) => ({ type }) as RecordedEvent;

it("an expression is harmless that had no processor when its time was over", () => {
  const late = vi.spyOn(Script.prototype, "runInContext").mockImplementationOnce(() => {
    throw new Error("Script execution timed out after 500ms");
  });
  onTestFinished(() => late.mockRestore());
  expect(byType("^Co").passes(event("Counted"))).toBe(true);
  expect(late).toHaveBeenCalledTimes(2);
});

it("an expression is refused that takes for ever, and one that never has the processor, too", () => {
  const refused = expect.objectContaining({ code: "EVENTSTORE-INVALID" });
  expect(() => byType("^(a+)+$").passes(event(`${"a".repeat(40)}!`))).toThrow(refused);
  const late = vi.spyOn(Script.prototype, "runInContext").mockImplementation(() => {
    throw new Error("Script execution timed out after 500ms");
  });
  onTestFinished(() => late.mockRestore());
  expect(() => byType("^Co").passes(event("Counted"))).toThrow(refused);
});
