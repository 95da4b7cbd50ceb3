/** Options that several commands have, and how the words of options are read. */
import { type Command, InvalidArgumentError, Option } from "commander";

export const PORT = 8080;
/** The data directory of commands that make one. */
export const DATA = "./.millrace";

export const portOption = (what = "HTTP port on 127.0.0.1"): Option =>
  new Option("--port <port>", what).argParser((text) => integer(text, 0, 65_535));
export const dataOption = (more = ""): Option =>
  new Option("--data <dir>", `data directory: the event log and all that follows from it${more}`);
/** Of commands that read or care for the log of one directory, with or beside a running server. */
export const ownDataOption = (): Option => dataOption().default(DATA);
export const logOption = (): Option =>
  new Option(
    "--log <address>",
    "keep the event log in EventStoreDB, esdb://host:2113 or esdb+discover://cluster; what holds a password is best in the variable",
  ).env("MILLRACE_LOG");
export const jsonOption = (): Option => new Option("--json", "one JSON object on stdout instead of text");
export const urlOption = (): Option =>
  new Option("--url <url>", "address of the server").default(`http://127.0.0.1:${PORT}`).env("MILLRACE_URL");
export const reasonOption = (): Option =>
  new Option("--reason <text>", "why; it becomes part of the event").default("asked on the command line");
export const limitOption = (): Option =>
  new Option("--limit <n>", "most rows").default(20).argParser((text) => integer(text, 1, 1000));
export const speedOption = (): Option =>
  new Option("--speed <factor>", "replay sources with an event time at this multiple of it").argParser((text) =>
    number(text),
  );

export const edgesOption = (): Option =>
  new Option(
    "--edges <url>",
    "broker for edges with `via` and for those to other hosts, nats://host:4222 or kafka://host:9092",
  ).env("MILLRACE_EDGES");

const payloadsOption = (): Option =>
  new Option("--payloads <dir>", "folder for payloads in memory; best on a memory file system").env(
    "MILLRACE_PAYLOADS",
  );
const payloadMibOption = (): Option =>
  new Option("--payload-mib <n>", "memory for payloads; what finds no room is read from disk (default 1024)").argParser(
    (text) => integer(text, 1, 1_048_576),
  );
const payloadLeasesOption = (): Option =>
  new Option(
    "--payload-leases <n>",
    "payloads that a process reads at once; beyond them it copies (default 4096)",
  ).argParser((text) => integer(text, 2, 1_048_576));
const payloadLeaseOption = (): Option =>
  new Option(
    "--payload-lease-ms <n>",
    "how long a process may stand still and keep what it reads (default 5000)",
  ).argParser((text) => integer(text, 100, 3_600_000));

const witnessOption = (): Option =>
  new Option(
    "--witness <key@url>",
    "who is asked to cosign the log's checkpoints; may be repeated, or several with spaces",
  )
    .env("MILLRACE_WITNESSES")
    .argParser(words);
const witnessAllowOption = (): Option =>
  new Option("--witness-allow <networks>", "networks that witnesses may be in although they are not public")
    .env("MILLRACE_WITNESS_ALLOW")
    .argParser(words);

/** @throws InvalidArgumentError, as the next */
export function integer(text: string, min: number, max: number): number {
  // `Number` takes an empty text, as of a variable that is not set, for 0.
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < min || value > max)
    throw new InvalidArgumentError(`expected a whole number from ${min} to ${max}.`);
  return value;
}

export function number(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < Number.POSITIVE_INFINITY)) throw new InvalidArgumentError("expected a number above 0.");
  return value;
}

export function words(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, ...text.split(/\s+/).filter((word) => word !== "")];
}

/** Of commands that run graphs: where large values are, and who cosigns the log. */
export function withHostOptions(command: Command): Command {
  return command
    .addOption(payloadsOption())
    .addOption(payloadMibOption())
    .addOption(payloadLeasesOption())
    .addOption(payloadLeaseOption())
    .addOption(witnessOption())
    .addOption(witnessAllowOption());
}
