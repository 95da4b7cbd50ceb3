/** Places in PostgreSQL's write-ahead log: 64 bits, written as `0/16B3748`. */

export function lsnOf(text: string): bigint {
  const [high = "0", low = "0"] = text.split("/");
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

export function lsnText(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffff_ffffn).toString(16)}`.toUpperCase();
}

/**
 * How far changes were taken: of all transactions that committed below `lsn` everything, and of the one that committed at it the
 * first `ord` changes.
 */
export interface ChangePoint {
  readonly lsn: bigint;
  readonly ord: number;
}

export function isBefore(a: ChangePoint, b: ChangePoint): boolean {
  return a.lsn < b.lsn || (a.lsn === b.lsn && a.ord < b.ord);
}
