/**
 * The rules of the format that the fault tests can switch off one by one, to show that each of them prevents a failure. In
 * production all of them hold; the set exists for tests only.
 */
export type Rule =
  /** Append and block are valid as a whole or not at all. */
  | "L-R1"
  /** One block write in flight. */
  | "L-R2"
  /** New blocks go onto zeros. */
  | "L-R3"
  /** Blocks start at 4 KiB. */
  | "L-R5"
  /** An error of a block write ends the writer. */
  | "L-R6"
  /** A prepared segment is named durably before its first block. */
  | "L-R7"
  /** The seal of a segment is durable before the first block of the next one is written. */
  | "L-R8"
  /** The manifest is synced before it is renamed. */
  | "L-R9"
  /** The lock is on the descriptor that writes the segment. */
  | "L-R10"
  /** Torn or corrupt is decided by zeros. */
  | "L-R11"
  /** The number of legitimate zero sectors counts in that decision. */
  | "L-R11-zeros"
  /** Recovery looks past the bad block. */
  | "L-R12"
  /** The rest of the segment is zeroed after a cut. */
  | "L-R13"
  /** The last block is written again before anyone sees it. */
  | "L-R14"
  /** Witnesses are compared. */
  | "L-R15"
  /** Heads are the index plus a fold of the log. */
  | "L-R16"
  /** Segments are those that the manifest names. */
  | "L-R17"
  /** Readers see only the durable end. */
  | "L-R21"
  /** The manifest is written before files are unlinked. */
  | "L-R24"
  /** Archive files are synced and named before the manifest says archived. */
  | "L-R25"
  /** The heads of archived streams are carried. */
  | "L-R26"
  /** What is carried of streams is synced before the manifest forgets what it came of. */
  | "L-R28"
  /** Every read checks the record's checksum. */
  | "record-crc";

export type RulesOff = ReadonlySet<Rule>;

export const ALL_RULES_HOLD: RulesOff = new Set();
