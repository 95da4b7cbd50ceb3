/** What a `kafka:` address names: a topic of a Kafka cluster. */
import { needlessOfTls, type OptionCheck, oneOf, optionFault } from "./address-options.ts";
import { type BrokerAddress, parseBrokerAddress } from "./broker-address.ts";

export interface KafkaAddress extends BrokerAddress {
  readonly kind: "topic";
  readonly topic: string;
}

const PORT = 9092;
/** As the brokers demand it: 1 to 249 characters, and neither `.` nor `..`. */
const TOPIC = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/;
const PARTITIONS_MAX = 10_000;

const isFilled: OptionCheck = (value) => (value === "" ? "expected the name of a group" : undefined);
const isCount: OptionCheck = (value) =>
  /^[1-9]\d*$/.test(value) && Number(value) <= PARTITIONS_MAX ? undefined : "expected a number of partitions";
const isPath: OptionCheck = (value) => (value === "" ? "expected a path of a file" : undefined);

const CONNECTING = {
  tls: oneOf("true", "false"),
  ca: isPath,
  sasl: oneOf("plain", "scram-sha-256", "scram-sha-512"),
};
const OPTIONS: Readonly<Record<"source" | "sink", Readonly<Record<string, OptionCheck>>>> = {
  source: {
    ...CONNECTING,
    group: isFilled,
    gap: oneOf("stop", "record"),
    until: oneOf("now"),
    envelope: oneOf("true", "false"),
    read: oneOf("committed", "uncommitted"),
    partitions: isCount,
  },
  sink: { ...CONNECTING, compression: oneOf("gzip", "snappy", "lz4", "zstd") },
};

export function parseKafkaAddress(address: string, side: "source" | "sink"): KafkaAddress | { readonly fault: string } {
  const parsed = parseBrokerAddress(address, PORT);
  if ("fault" in parsed) return { fault: `${parsed.fault}, as in kafka://127.0.0.1:9092/orders` };
  const [topic, ...rest] = parsed.path;
  if (topic === undefined || rest.length > 0)
    return { fault: "expected a path /<topic>, as in kafka://127.0.0.1:9092/orders" };
  if (!TOPIC.test(topic)) return { fault: `\`${topic}\` is no name of a topic` };
  const fault = optionFault(parsed.options, OPTIONS[side]) ?? securityFault(parsed);
  return fault === undefined ? { ...parsed, kind: "topic", topic } : { fault };
}

/** Options of a connection to a Kafka cluster that carries edges; what is wrong with them, if anything is. */
export function kafkaEdgesFault(address: BrokerAddress): string | undefined {
  return optionFault(address.options, CONNECTING) ?? securityFault(address);
}

function securityFault({ user, password, options }: BrokerAddress): string | undefined {
  if (user !== undefined && password === undefined) return "a user needs a password, as in kafka://user:password@host";
  if (options.has("sasl") && user === undefined) return "option `sasl` needs a user and a password before the host";
  return needlessOfTls(options, ["ca"]);
}
