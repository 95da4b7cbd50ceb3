/** What a host did with payloads. */

/** Counters grow for as long as the host runs; bytes are those of payloads. */
export interface PayloadCounters {
  /** Payloads that were written into shared memory, and their bytes. */
  readonly puts: number;
  readonly putBytes: number;
  readonly opens: number;
  /** Openings that copied the bytes because there was nothing to map. */
  readonly copies: number;
  readonly copiedBytes: number;
  /** Payloads that shared memory did not have any more and that came back from the archive. */
  readonly restores: number;
  /** Payloads that had to leave shared memory for others although something still needs them. */
  readonly evictions: number;
  /** Payloads for which there was no room: they are read from the archive. */
  readonly spills: number;
  readonly archivedBytes: number;
  /** In shared memory now, and at most so far. */
  readonly livePayloads: number;
  readonly liveBytes: number;
  readonly liveBytesMax: number;
  /** Uses that have not ended. */
  readonly holds: number;
}

export class PayloadCounts {
  puts = 0;
  putBytes = 0;
  opens = 0;
  copies = 0;
  copiedBytes = 0;
  restores = 0;
  evictions = 0;
  spills = 0;
  archivedBytes = 0;
  livePayloads = 0;
  liveBytes = 0;
  liveBytesMax = 0;
  holds = 0;

  put(bytes: number): void {
    this.puts++;
    this.putBytes += bytes;
    this.livePayloads++;
    this.liveBytes += bytes;
    this.liveBytesMax = Math.max(this.liveBytesMax, this.liveBytes);
  }

  discarded(bytes: number): void {
    this.livePayloads--;
    this.liveBytes -= bytes;
  }

  copied(bytes: number): void {
    this.copies++;
    this.copiedBytes += bytes;
  }

  /** As they are now. */
  counters(): PayloadCounters {
    return { ...this };
  }
}
