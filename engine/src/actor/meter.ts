/** Counters of one actor. Plain fields: the hot path adds to them, status and metrics read them. */
export class ActorMeter {
  in = 0;
  out = 0;
  dead = 0;
  dropped = 0;
  restarts = 0;
  steps = 0;
  busyMs = 0;
  blockedMs = 0;
  /** Time per turn of work: bucket `b` counts times in `[2^(b-1), 2^b)` microseconds. */
  readonly turnMicros: Uint32Array = new Uint32Array(24);

  busy(ms: number): void {
    this.busyMs += ms;
    const bucket = Math.min(23, 32 - Math.clz32(ms * 1000));
    this.turnMicros[bucket] = (this.turnMicros[bucket] as number) + 1;
  }
}
