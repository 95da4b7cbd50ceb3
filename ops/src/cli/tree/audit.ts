/** `millrace audit …`: proofs over the files of a log. */
import { type Command, Option } from "commander";
import { integer, jsonOption, ownDataOption, words } from "../options.ts";

export function auditCommands(program: Command): void {
  const audit = program
    .command("audit")
    .description("proof that the log is what was signed; reads files only, also beside a running server");
  audit
    .command("verify")
    .description(
      "hash every signed record again and compare tiles, root and signature; name the first position that is bad",
    )
    .addOption(ownDataOption())
    .option("--key <key>", "verifier key that you were given; without it the log's own is believed")
    .option("--since <file>", "an older checkpoint that you kept: the log must still begin with what it covered")
    .addOption(
      new Option(
        "--witness <key>",
        "verifier key of a witness that must have cosigned; may be repeated, or several with spaces",
      ).argParser(words),
    )
    .option("--quorum <n>", "how many of them; all, if not given", (text) => integer(text, 1, 1000))
    .option("--unwitnessed <n>", "most of the newest records that they need not have cosigned yet", (text) =>
      integer(text, 0, Number.MAX_SAFE_INTEGER),
    )
    .addOption(jsonOption())
    .action(async (options) => (await import("../command/audit.ts")).verify(options));
  audit
    .command("prove")
    .description("an inclusion proof of one event, as C2SP tlog-proof")
    .argument("<position>", "position of the event", (text) => integer(text, 0, Number.MAX_SAFE_INTEGER))
    .addOption(ownDataOption())
    .addOption(jsonOption())
    .action(async (position, options) => (await import("../command/audit.ts")).prove(position, options));
  audit
    .command("consistency")
    .description("a proof that the log still begins with its first records")
    .argument("<size>", "how many: the size of an older checkpoint", (text) =>
      integer(text, 0, Number.MAX_SAFE_INTEGER),
    )
    .addOption(ownDataOption())
    .addOption(jsonOption())
    .action(async (size, options) => (await import("../command/audit.ts")).proveConsistency(size, options));
  audit
    .command("export")
    .description("a bundle of events with proofs, which its own script checks offline")
    .requiredOption("--out <dir>", "new directory for the bundle")
    .option("--from <position>", "first position; default the first of the log", (text) =>
      integer(text, 0, Number.MAX_SAFE_INTEGER),
    )
    .option("--to <position>", "position after the last; default all that is signed", (text) =>
      integer(text, 0, Number.MAX_SAFE_INTEGER),
    )
    .addOption(ownDataOption())
    .addOption(jsonOption())
    .action(async (options) => (await import("../command/audit.ts")).exportEvents(options));
  audit
    .command("tiles")
    .description(
      "checkpoint, verifier key and tiles as files for a web server; again into the same directory adds what is new",
    )
    .requiredOption("--out <dir>", "directory for the files")
    .addOption(ownDataOption())
    .addOption(jsonOption())
    .action(async (options) => (await import("../command/audit.ts")).exportTiles(options));
  audit
    .command("checkpoint")
    .description("the newest signed checkpoint; keep it, for verify --since")
    .option("--cosigned", "the newest that witnesses have cosigned, with their signatures")
    .addOption(ownDataOption())
    .addOption(jsonOption())
    .action(async (options) => (await import("../command/audit.ts")).showCheckpoint(options));
  audit
    .command("key")
    .description("the verifier key: what auditors check signatures with")
    .addOption(ownDataOption())
    .addOption(jsonOption())
    .action(async (options) => (await import("../command/audit.ts")).showKey(options));
}
