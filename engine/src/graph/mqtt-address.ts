/** What an `mqtt:` address names: a topic of an MQTT 5 broker, or for a source a filter over topics. */
import {
  isDuration,
  isSecureOptions,
  needlessOfTls,
  type OptionCheck,
  oneOf,
  optionFault,
  wholeNumber,
} from "./address-options.ts";
import { type BrokerAddress, parseBrokerAddress } from "./broker-address.ts";

export interface MqttAddress extends BrokerAddress {
  /** `live`: quality of service 0, nothing is kept for who does not listen. */
  readonly kind: "topic" | "live";
  readonly target: string;
  readonly qos: 0 | 1 | 2;
}

const PORT = 1883;
const TLS_PORT = 8883;
const isName: OptionCheck = (value) =>
  /^[\w.:/-]{1,64}$/.test(value) ? undefined : "expected 1 to 64 letters, digits and _ . : / -";

const OPTIONS: Readonly<Record<"source" | "sink", Readonly<Record<string, OptionCheck>>>> = {
  source: {
    qos: oneOf("0", "1", "2"),
    session: isName,
    expiry: isDuration,
    prefetch: wholeNumber(1, 65_535),
    envelope: oneOf("true", "false"),
    ...isSecureOptions,
  },
  sink: { qos: oneOf("0", "1", "2"), retain: oneOf("true", "false"), ...isSecureOptions },
};

export function parseMqttAddress(address: string, side: "source" | "sink"): MqttAddress | { readonly fault: string } {
  const parsed = parseBrokerAddress(address, PORT, TLS_PORT);
  if ("fault" in parsed) return { fault: `${parsed.fault}, as in mqtt://127.0.0.1:1883/topic/plant/+/temperature` };
  const [kind, ...levels] = parsed.path;
  const target = levels.join("/");
  if (kind !== "topic" || target === "") return { fault: "expected a path /topic/<topic>" };
  const fault = topicFault(target, side) ?? optionFault(parsed.options, OPTIONS[side]);
  if (fault !== undefined) return { fault };
  const qos = Number(parsed.options.get("qos") ?? 1) as 0 | 1 | 2;
  if (qos === 0 && parsed.options.has("session"))
    return { fault: "option `session`: quality of service 0 has none; choose `qos=1` or `qos=2`" };
  const needless = needlessOfTls(parsed.options, ["ca"]);
  if (needless !== undefined) return { fault: needless };
  return { ...parsed, kind: qos === 0 ? "live" : "topic", target, qos };
}

function topicFault(target: string, side: "source" | "sink"): string | undefined {
  const levels = target.split("/");
  if (side === "sink") return /[+#]/.test(target) ? `\`${target}\` is no topic to publish to` : undefined;
  const isPattern = levels.every(
    (level, i) => level === "+" || (level === "#" && i === levels.length - 1) || !/[+#]/.test(level),
  );
  return isPattern
    ? undefined
    : `\`${target}\`: + stands for a whole level, and # (written %23) for all that follow, at the end`;
}
