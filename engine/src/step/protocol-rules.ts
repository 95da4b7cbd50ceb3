/**
 * The rules of the step protocol that can be switched off one at a time, for simulations that prove that each is needed: with
 * any of them off, some short schedule of crashes and resends breaks an invariant (step-protocol §9, §10.24). Production runs
 * with {@link ALL_RULES}; each switch is one condition at the place where the rule is kept. R13 has three: the tick never falls,
 * results are recorded, and they stand in the order of the calls.
 */

export const RULE_IDS = [
  "R1",
  "R3",
  "R4",
  "R7",
  "R10",
  "R11",
  "R12",
  "R13-tick",
  "R13-results",
  "R13-order",
  "R14",
  "R15",
  "R16",
  "R17",
  "R19",
  "R20",
  "R21",
  "R22",
  "R23",
  "R24",
  "R25",
  "R25-alignment",
  "R27",
] as const;

export type RuleId = (typeof RULE_IDS)[number];

/** True: the rule is kept. */
export type ProtocolRules = Readonly<Record<RuleId, boolean>>;

export const ALL_RULES: ProtocolRules = rulesWithout([]);

export function rulesWithout(off: readonly RuleId[]): ProtocolRules {
  // Every id of the list is set, so the record is complete.
  return Object.fromEntries(RULE_IDS.map((id) => [id, !off.includes(id)])) as ProtocolRules;
}
