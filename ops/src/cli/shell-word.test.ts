import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { shellWord } from "./shell-word.ts";

test("a path is one word to the shell, whatever is in it", () => {
  const paths = ["./data/my-log_2", "my data", "it's", "$HOME/*", "größe", "-", ""];
  const said = execFileSync("sh", ["-c", `printf '%s\\n' ${paths.map(shellWord).join(" ")}`], { encoding: "utf8" });
  expect(said.split("\n").slice(0, -1)).toEqual(paths);
  expect(shellWord("./data/my-log_2")).toBe("./data/my-log_2");
});
