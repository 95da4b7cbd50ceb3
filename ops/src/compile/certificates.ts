/** Certificate authorities that an address names by the file that they are in. */
import { readFileSync } from "node:fs";
import { messageOf, type Place } from "@millrace/engine";
import type { Tls } from "@millrace/streams/resilience";
import { opsError } from "../errors.ts";
import type { CompileContext } from "./compile-context.ts";

/** The file as PEM. @throws HOST-CONNECTOR it cannot be read */
export function certificates(path: string | undefined, context: CompileContext, place: Place): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(context.path(path), "utf8");
  } catch (cause) {
    throw opsError("HOST-CONNECTOR", `the certificates cannot be read: ${messageOf(cause)}`, { place, cause });
  }
}

/** Encryption as an address says it, with `tls=true` and `ca=<path>`. `undefined`: none. @throws HOST-CONNECTOR */
export function tlsOf(options: ReadonlyMap<string, string>, context: CompileContext, place: Place): Tls | undefined {
  if (options.get("tls") !== "true") return undefined;
  const ca = certificates(options.get("ca"), context, place);
  return ca === undefined ? {} : { ca };
}
