/** Something that does not hold. */
export interface AuditFinding {
  /** LOG-CORRUPT, LOG-FORK, AUDIT-TILE, AUDIT-CHECKPOINT, AUDIT-KEY … */
  readonly code: string;
  readonly message: string;
  readonly position?: number;
  readonly file?: string;
}
