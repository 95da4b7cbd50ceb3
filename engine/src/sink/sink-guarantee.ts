/**
 * What a delivery is worth (R27): `transaction` and `offset` keep the cursor with the effect, `key` compares `(lane, pos, ord)`,
 * `at-least-once` repeats what was delivered but not committed before a crash. Who is told nothing about what became of a message promises
 * less: `best-effort`, what was sent may be lost, and what was not committed before a crash is sent again.
 */
export type SinkGuarantee = "transaction" | "offset" | "key" | "at-least-once" | "best-effort";
