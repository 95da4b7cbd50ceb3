import { createHash } from "node:crypto";

/** The same failing message has the same id in every run (R23): 32 hex digits. */
export function deadLetterId(lane: string, pos: number, ord: number, node: string): string {
  return createHash("sha256").update(`${lane}\n${pos}\n${ord}\n${node}`).digest("hex").slice(0, 32);
}
