/**
 * JSON without characters beyond the basic plane. ActiveMQ takes JSON for a text of JMS, keeps such characters as two halves, and gives
 * other readers bytes that are no UTF-8; escaped they are the same JSON.
 */
import { isUtf8 } from "node:buffer";

/** The first bytes in UTF-8 of characters beyond the basic plane, and of no others. */
const LEADS = [0xf0, 0xf1, 0xf2, 0xf3, 0xf4];
const JSON_TYPE = /\bjson\b/i;

/** A body of any other type, or that is no UTF-8, stays as it is. */
export function inBasicPlane(body: Buffer, contentType: string | undefined): Buffer {
  if (!JSON_TYPE.test(contentType ?? "") || !LEADS.some((lead) => body.includes(lead)) || !isUtf8(body)) return body;
  return Buffer.from(body.toString().replaceAll(/[\u{10000}-\u{10ffff}]/gu, escaped));
}

const escaped = (character: string): string =>
  character
    .split("")
    .map((half) => `\\u${half.charCodeAt(0).toString(16)}`)
    .join("");
