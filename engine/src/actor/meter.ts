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
}
