/** Counters of one actor. Plain fields: the hot path adds to them, status and metrics read them. */
export class ActorMeter {
  in = 0;
  out = 0;
  /** Messages that this node gave up on. */
  dead = 0;
  /** Those of nodes before it that this one, being committed, wrote down. */
  carriedDead = 0;
  dropped = 0;
  restarts = 0;
  steps = 0;
  busyMs = 0;
  blockedMs = 0;
}
