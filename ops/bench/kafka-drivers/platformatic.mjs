/** @platformatic/kafka, of the peers. */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { resolve } = createRequire(new URL("../peers/kafka-drivers/", import.meta.url));
export const platformatic = await import(pathToFileURL(resolve("@platformatic/kafka")).href);

/** A record as the library wants it. */
export function messageOf({ key, value, headers }, topic) {
  const named = new Map();
  for (const name in headers) named.set(Buffer.from(name), Buffer.from(headers[name]));
  return { topic, partition: 0, key: key === null ? undefined : Buffer.from(key), value, headers: named };
}
