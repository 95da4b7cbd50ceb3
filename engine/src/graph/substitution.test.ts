// biome-ignore-all lint/suspicious/noTemplateCurlyInString: graph files write references like that.
import { describe, expect, test } from "vitest";
import { secretsOf, substitute } from "./substitution.ts";

const env = { PORT: "8080", NAME: "board", EMPTY: "", TRUTH: "true", VERSION: "1.10" };

describe("substitution", () => {
  test.each([
    ["${PORT}", 8080],
    ["${TRUTH}", true],
    ["port ${PORT}", "port 8080"],
    ["projection:${NAME}", "projection:board"],
    ["${MISSING:./a b.csv}", "./a b.csv"],
    ["${MISSING:}", ""],
    ["${EMPTY:x}", ""],
    ["${NAME:x}-${PORT:1}", "board-8080"],
    ["$${PORT}", "${PORT}"],
    ["${env:TOKEN}", "${env:TOKEN}"],
    ["Bearer ${file:/run/token}", "Bearer ${file:/run/token}"],
    ["$PORT { }", "$PORT { }"],
  ])("%s gives %j", (text, value) => {
    expect(substitute(text, env)).toEqual({ value, missing: [] });
  });

  test("names what is not set and has no default", () => {
    expect(substitute("${A}/${PORT}/${B}", env).missing).toEqual(["A", "B"]);
  });

  test("finds references to secrets and nothing else", () => {
    expect(secretsOf("${env:USER}:${file:/run/pw}@${HOST:x} $${env:NO}")).toEqual(["env:USER", "file:/run/pw"]);
  });
});
