import { expect, it } from "vitest";
import { firstFilesOf } from "./templates.ts";

it.each(["c", "cpp"] as const)("a first calculator is built by one command wherever its SDK is: %s", (language) => {
  const { built } = firstFilesOf(language, "late-score", (folder) => `/an sdk/${folder}`);
  expect(built?.command).toContain(" -I '/an sdk/c' ");
});
