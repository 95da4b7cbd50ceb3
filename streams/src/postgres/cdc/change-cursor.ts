/** The cursor of a source of changes, as it is committed in Millrace's log. */
import type { Json, JsonObject } from "@millrace/engine";
import { type ChangePoint, lsnOf, lsnText } from "./lsn.ts";

export interface ChangeCursor extends ChangePoint {
  /** The server's own number of its database cluster; places of another one mean other changes. */
  readonly system: string;
}

export function cursorJson({ system, lsn, ord }: ChangeCursor): JsonObject {
  return { system, lsn: lsnText(lsn), ord };
}

export function cursorOf(json: Json | undefined): ChangeCursor | undefined {
  if (json === undefined) return undefined;
  // Written by `cursorJson` above.
  const { system, lsn, ord } = json as { readonly system: string; readonly lsn: string; readonly ord: number };
  return { system, lsn: lsnOf(lsn), ord };
}
