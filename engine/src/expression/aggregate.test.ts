import { describe, expect, test } from "vitest";
import { MillraceError } from "../errors.ts";
import { parseAggregate } from "./aggregate.ts";

function refusal(source: string): MillraceError {
  try {
    parseAggregate(source);
  } catch (thrown) {
    if (thrown instanceof MillraceError) return thrown;
  }
  throw new Error(`${source} was accepted`);
}

describe("an aggregate call", () => {
  test("has a function and an argument that is an expression", () => {
    const { fn, argument } = parseAggregate(" avg( (event.a + event.b) * 2 ) ");
    expect(fn).toBe("avg");
    expect(argument?.source).toBe("(event.a + event.b) * 2");
    expect(argument?.row({ a: 1, b: 2 })).toBe(6);
  });

  test("counts messages without an argument, values with one", () => {
    expect(parseAggregate("count()")).toEqual({ fn: "count" });
    expect(parseAggregate("count(event.delay)").argument?.fields).toEqual(["delay"]);
  });

  test("is refused for an unknown function, naming the nearest one", () => {
    expect(refusal("average(event.a)")).toMatchObject({
      code: "EXPR-INVALID",
      message: expect.stringContaining("expected count(…)"),
    });
    expect(refusal("sun(event.a)").message).toContain("did you mean sum(…)?");
    expect(refusal("event.a").message).toContain("expected count(…)");
  });

  test("is refused without the argument it needs", () => {
    expect(refusal("max()").message).toBe("max() needs an argument, as in max(event.amount)");
  });

  test("reports a fault in the argument at its offset in the whole call", () => {
    expect(refusal("sum( event.a + )").details).toMatchObject({ at: 14, expression: "sum( event.a + )" });
  });
});
