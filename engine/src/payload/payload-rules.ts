/**
 * The rules of the payload protocol that steps keep and that can be switched off one at a time, for tests that prove that each
 * is needed. Production runs with {@link ALL_PAYLOAD_RULES}. Those that stores keep are in `native/crates/lodge`.
 */
export const PAYLOAD_RULE_IDS = ["P-R6", "P-R7", "P-R16", "P-R17", "P-R18", "P-R19"] as const;

export type PayloadRuleId = (typeof PAYLOAD_RULE_IDS)[number];

/** True: the rule is kept. */
export type PayloadRules = Readonly<Record<PayloadRuleId, boolean>>;

export const ALL_PAYLOAD_RULES: PayloadRules = payloadRulesWithout([]);

export function payloadRulesWithout(off: readonly PayloadRuleId[]): PayloadRules {
  // Every id of the list is set, so the record is complete.
  return Object.fromEntries(PAYLOAD_RULE_IDS.map((id) => [id, !off.includes(id)])) as PayloadRules;
}
