/**
 * What an `s3:` address names: the objects of a bucket whose keys begin with a prefix,
 * `//key-id:secret@bucket/prefix?endpoint=http://host:port&region=…`. Without an endpoint it is AWS; without credentials requests
 * are not signed.
 */
import { isDuration, type OptionCheck, oneOf, optionFault, wholeNumber } from "./address-options.ts";
import { delimiterFault } from "./delimiter.ts";

export interface S3Address {
  readonly kind: "objects";
  readonly bucket: string;
  /** Keys begin with it; may be empty. */
  readonly prefix: string;
  /** `http://host:port` or `https://host:port`, in order of preference. */
  readonly endpoints: readonly string[];
  readonly region: string;
  /** Whether the bucket is part of the path or of the host's name. */
  readonly style: "path" | "host";
  readonly credentials?: S3Credentials;
  readonly options: ReadonlyMap<string, string>;
}

export interface S3Credentials {
  readonly keyId: string;
  readonly secret: string;
  /** Of temporary credentials. */
  readonly token?: string;
}

/** Secrets may have slashes in them, so all up to an `@` is theirs once a colon came first. */
const FORM = /^\/\/(?:([^/?#@:]*):([^?#@]*)@)?([^/?#@:]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/;
const BUCKET = /^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/;
const EXAMPLE = "s3://bucket/prefix?endpoint=http://127.0.0.1:9000";
const MIB = 1024 * 1024;

const isFilled: OptionCheck = (value) => (value === "" ? "expected a text" : undefined);
const isRegion: OptionCheck = (value) => (/^[a-z0-9-]+$/.test(value) ? undefined : "expected a name such as eu-west-1");
const isDelimiter: OptionCheck = (value) => delimiterFault(value, (text) => (text === "\t" ? "%09" : text));
const areEndpoints: OptionCheck = (value) =>
  value.split(",").every(isEndpoint) ? undefined : "expected http://host:port or https://host:port";

function isEndpoint(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, pathname, search, username, hash } = new URL(text);
  return /^https?:$/.test(protocol) && pathname === "/" && search + username + hash === "";
}

const PLACE: Readonly<Record<string, OptionCheck>> = {
  endpoint: areEndpoints,
  region: isRegion,
  style: oneOf("path", "host"),
  token: isFilled,
  ca: isFilled,
};
const CHECKS: Readonly<Record<"source" | "sink", Readonly<Record<string, OptionCheck>>>> = {
  source: {
    ...PLACE,
    format: oneOf("ndjson", "csv", "json", "arrow", "parquet"),
    delimiter: isDelimiter,
    poll: isDuration,
    until: oneOf("now"),
  },
  sink: {
    ...PLACE,
    format: oneOf("ndjson", "csv"),
    delimiter: isDelimiter,
    size: wholeNumber(1024, 1024 * MIB),
    flush: isDuration,
  },
};

export function parseS3Address(address: string, side: "source" | "sink"): S3Address | { readonly fault: string } {
  const match = FORM.exec(address);
  const [, keyId, secret = "", bucket = "", path = "", query = ""] = match ?? [];
  if (match === null) return { fault: `expected //bucket/prefix, as in ${EXAMPLE}` };
  if (!BUCKET.test(bucket))
    return { fault: `\`${bucket}\` is no name of a bucket: 3 to 63 lower-case letters and digits` };
  const prefix = decoded(path);
  if (prefix === undefined) return { fault: "a percent sign must be followed by two hex digits" };
  const options = new Map(new URLSearchParams(query));
  const fault = optionFault(options, CHECKS[side]) ?? unfit(options, prefix, side);
  if (fault !== undefined) return { fault };
  const region = options.get("region") ?? "us-east-1";
  const endpoint = options.get("endpoint");
  // A plus sign in a query stands for a space, and tokens have the one and not the other.
  const token = options.get("token")?.replaceAll(" ", "+");
  return {
    kind: "objects",
    bucket,
    prefix,
    endpoints: endpoint?.split(",").map((text) => new URL(text).origin) ?? [`https://s3.${region}.amazonaws.com`],
    region,
    style: styleOf(options, bucket),
    ...(keyId === undefined ? {} : { credentials: { keyId, secret, ...(token === undefined ? {} : { token }) } }),
    options,
  };
}

/** A sink's folder ends with a slash of its own making. */
function unfit(options: ReadonlyMap<string, string>, prefix: string, side: "source" | "sink"): string | undefined {
  if (options.has("ca") && options.get("endpoint")?.startsWith("http:") === true) return "option `ca` needs https";
  // Objects that are read have names that say their format, each of its own.
  const format = options.get("format") ?? (side === "sink" ? "ndjson" : "csv");
  if (options.has("delimiter") && format !== "csv") return "option `delimiter` needs `format=csv`";
  if (side === "sink" && prefix.startsWith("/")) return "a sink's prefix cannot begin with a slash";
  if (prefix.split("/").some((step) => step === "." || step === "..")) return "a prefix cannot have steps `.` and `..`";
  return undefined;
}

/** A certificate of a bucket's host covers no names with dots in them. */
function styleOf(options: ReadonlyMap<string, string>, bucket: string): "path" | "host" {
  const said = options.get("style");
  if (said !== undefined) return said as "path" | "host";
  return options.has("endpoint") || bucket.includes(".") ? "path" : "host";
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
