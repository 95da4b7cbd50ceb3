import type { Command } from "commander";

/**
 * Ends the command as a wrong usage when an option was given an empty text, as of a variable of the shell that is not set: for a folder that
 * would be the current one, for a filter everything.
 */
export function refuseEmpty(command: Command): void {
  for (const option of command.options) {
    const name = option.attributeName();
    if (command.getOptionValueSource(name) === "cli" && isEmpty(command.getOptionValue(name)))
      command.error(`error: option '${option.flags}' is given an empty text.`, { exitCode: 2 });
  }
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) ? value.length === 0 || value.includes("") : value === "";
}
