/** `millrace log …`: what the event log keeps, and for how long. */
import { type Command, Option } from "commander";
import { integer, jsonOption, ownDataOption, reasonOption } from "../options.ts";

export function logCommands(program: Command): void {
  const log = program.command("log").description("what the event log keeps, and for how long");
  log
    .command("ls")
    .description(
      "list the segments of the log: here, archived or pruned; reads files only, also beside a running server",
    )
    .addOption(ownDataOption())
    .addOption(jsonOption())
    .action(async (options) => (await import("../command/log.ts")).listLog(options));
  log
    .command("archive")
    .description(
      "move sealed segments to the archive, from which everything can still be read; a running host does it beside its graphs",
    )
    .requiredOption("--older-than <duration>", "segments whose last event is older, such as 30d; 0 for all")
    .option("--no-parquet", "without the Parquet twin for analysts")
    .option("--keep", "leave the segments where they are too, so that log repair has a copy of each")
    .addOption(ownDataOption())
    .addOption(jsonOption())
    .action(async (options) => (await import("../command/log.ts")).archiveLog(options));
  log
    .command("prune")
    .description(
      "forget archived segments up to the first that is needed, and say by whom: states of graphs, heads of streams and hashes are kept, so that graphs go on and proofs hold; a running host does it beside its graphs",
    )
    .requiredOption("--older-than <duration>", "segments whose last event is older, such as 3650d; 0 for all")
    .option("--abandon <graph...>", "graphs that will not run again: nothing is kept back for them")
    .addOption(reasonOption())
    .addOption(ownDataOption())
    .addOption(jsonOption())
    .action(async (options) => (await import("../command/log.ts")).pruneLog(options));
  log
    .command("scrub")
    .description(
      "read all that the log keeps and compare it with what was written; name the first bad position of each file",
    )
    .addOption(
      new Option("--rate <n>", "MiB a second, so that a running server has the disk")
        .default(64)
        .argParser((text) => integer(text, 1, 100_000)),
    )
    .addOption(ownDataOption())
    .addOption(jsonOption())
    .action(async (options) => (await import("../command/log.ts")).scrub(options));
  log
    .command("repair")
    .description(
      "make damaged files again from their copies, exactly as they were, and say what is lost beyond; the host must be stopped",
    )
    .option("--accept-loss", "cut the log where it stops being whole; what is lost is said first, and put aside")
    .addOption(reasonOption())
    .addOption(ownDataOption())
    .addOption(jsonOption())
    .action(async (options) => (await import("../command/log.ts")).repair(options));
  const hold = log
    .command("hold")
    .description("legal holds: what must not be pruned; asked of the running host, if there is one");
  hold
    .command("ls")
    .description("list the holds that stand")
    .addOption(ownDataOption())
    .addOption(jsonOption())
    .action(async (options) => (await import("../command/log.ts")).listHolds(options));
  hold
    .command("place")
    .description("keep events that meet all conditions from being pruned; without any condition, all events")
    .argument("<name>", "of the hold, such as a case number")
    .option("--stream <prefix>", "events of streams whose names begin so")
    .option("--tenant <name>", "events of this tenant")
    .option("--from <time>", "events from this time on")
    .option("--to <time>", "events before this time")
    .addOption(reasonOption())
    .addOption(ownDataOption())
    .addOption(jsonOption())
    .action(async (name, options) => (await import("../command/log.ts")).placeLegalHold(name, options));
  hold
    .command("release")
    .description("end a hold")
    .argument("<name>")
    .addOption(reasonOption())
    .addOption(ownDataOption())
    .addOption(jsonOption())
    .action(async (name, options) => (await import("../command/log.ts")).releaseLegalHold(name, options));
}
