import { msOfIsoText } from "@millrace/engine";
import { gatewayError } from "../errors.ts";
import type { Moment } from "../ports.ts";

/** A position or a time, by the schema `Moment`. @throws HTTP-INVALID */
export function momentOf(text: string, field: string): Moment {
  if (/^\d+$/.test(text)) return { position: Number(text) };
  const timeMs = msOfIsoText(text);
  if (Number.isNaN(timeMs)) throw gatewayError("HTTP-INVALID", `querystring/${field}: there is no time ${text}`);
  return { timeMs };
}
