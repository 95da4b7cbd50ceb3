import { virtualEnv } from "@millrace/engine/testing";
import { expect, it } from "vitest";
import { logNews } from "./operator-log.ts";

it("looks once a second for the news of all, until it is ended", async () => {
  const env = virtualEnv("operator log");
  const lines: string[] = [];
  let looks = 0;
  const end = logNews([() => [`a ${++looks}`], () => [], () => ["b"]], env, (line) => lines.push(line));
  await env.advance(2500);
  expect(lines.map((line) => line.replace(/^\S+ /, ""))).toEqual(["a 1", "b", "a 2", "b"]);
  expect(Number.isNaN(Date.parse(lines[0]?.split(" ")[0] ?? ""))).toBe(false);
  end();
  await env.advance(9000);
  expect(looks).toBe(2);
});
