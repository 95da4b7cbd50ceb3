/** What sources read, sinks write and tables are: a scheme and an address, such as `file:./x.csv` or `projection:board`. */

export interface Target {
  readonly scheme: string;
  /** What follows the scheme's colon, `//` included: `./x.csv`, `//host/path`. */
  readonly address: string;
}

/** Projections of the host itself; no sink writes to them. */
export const HOST_PROJECTIONS: ReadonlySet<string> = new Set(["graphs", "dead-letters", "dead-letter-counts"]);

export const SOURCE_SCHEMES = [
  "file",
  "http",
  "metronome",
  "cron",
  "telemetry",
  "nats",
  "redis",
  "kafka",
  "postgres",
  "mysql",
  "mqtt",
  "rabbitmq",
  "activemq",
  "amqp10",
  "jms",
  "s3",
  "sqlite",
  "grpc",
  "grpc+listen",
  "mem",
  "memredis",
  "custom",
  "https",
  "sse+http",
  "sse+https",
  "ws",
  "wss",
] as const;
export const SINK_SCHEMES = [
  "projection",
  "file",
  "http",
  "https",
  "stdout",
  "discard",
  "nats",
  "redis",
  "kafka",
  "postgres",
  "mysql",
  "mqtt",
  "rabbitmq",
  "activemq",
  "amqp10",
  "jms",
  "s3",
  "sqlite",
  "grpc",
  "mem",
  "memredis",
  "custom",
  "ws",
  "wss",
] as const;
export const TABLE_SCHEMES = ["file", "projection"] as const;

/** `undefined` when there is no scheme. */
export function parseTarget(uri: string): Target | undefined {
  const [, scheme, address] = /^([a-z][a-z0-9+.-]*):(.*)$/is.exec(uri) ?? [];
  return scheme === undefined || address === undefined ? undefined : { scheme: scheme.toLowerCase(), address };
}

export const SOURCE_FORMATS: ReadonlyMap<string, string> = new Map([
  ["csv", "csv"],
  ["tsv", "csv"],
  ["ndjson", "ndjson"],
  ["jsonl", "ndjson"],
  ["json", "json"],
  ["arrow", "arrow"],
  ["parquet", "parquet"],
]);

/** The part after the last dot, in lower case; `""` without one. */
export function extensionOf(address: string): string {
  return /\.([A-Za-z0-9]+)$/.exec(address)?.[1]?.toLowerCase() ?? "";
}

/** The path with `.` and empty steps removed, so that two spellings of one file are equal. */
export function plainPath(address: string): string {
  const steps: string[] = [];
  for (const step of address.split("/")) {
    if (step === "..") steps.length > 0 && steps.at(-1) !== ".." ? steps.pop() : steps.push(step);
    else if (step !== "." && step !== "") steps.push(step);
  }
  return `${address.startsWith("/") ? "/" : ""}${steps.join("/")}`;
}
