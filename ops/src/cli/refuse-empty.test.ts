import { Command } from "commander";
import { expect, it } from "vitest";
import { words } from "./options.ts";
import { refuseEmpty } from "./refuse-empty.ts";

/** What a command with these words says before it runs; `undefined`: it ran. */
function saidOf(...given: string[]): string | undefined {
  let said: string | undefined;
  let hasRun = false;
  const program = new Command().exitOverride().configureOutput({
    writeErr(text) {
      said = text;
    },
  });
  program.hook("preAction", (_, command) => refuseEmpty(command));
  program
    .command("run")
    .option("--data <dir>")
    .option("--set", "an option without a text")
    .option("--log <address>", "as a variable may say", "")
    .option("--nodes <names>", "", (text) => text.split(","))
    .option("--witness <key>", "", words)
    .action(() => {
      hasRun = true;
    });
  try {
    program.parse(["node", "millrace", "run", ...given]);
  } catch (error) {
    expect(error).toMatchObject({ exitCode: 2 });
  }
  expect(hasRun).toBe(said === undefined);
  return said;
}

it("an option that is given an empty text, or a list with one, is refused, and named", () => {
  expect(saidOf("--data", "")).toBe("error: option '--data <dir>' is given an empty text.\n");
  expect(saidOf("--data=")).toContain("'--data <dir>'");
  expect(saidOf("--nodes", "a,")).toContain("'--nodes <names>'");
  expect(saidOf("--witness", " ")).toContain("'--witness <key>'");
});

it("what is not given, or has a text, is not", () => {
  expect(saidOf("--data", " ", "--set", "--nodes", "a,b", "--witness", "k")).toBeUndefined();
});
