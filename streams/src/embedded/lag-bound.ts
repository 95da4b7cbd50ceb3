/**
 * How far followers that are not the log's own may be behind before appends are refused, so that what they owe stays bounded. One that
 * begins further behind, because it is made anew, holds nothing back while it comes nearer: the bound then is counted from the nearest it
 * has come.
 */
export interface BoundedFollower {
  /** For the message of a refused append. */
  readonly name: string;
  /** Events it is behind the durable end now. */
  lag(): number;
  readonly lagMax: number;
}

export interface LagExcess {
  readonly name: string;
  readonly waiting: number;
  readonly waitingMax: number;
}

export class LagBounds {
  readonly #nearest = new Map<BoundedFollower, number>();
  /** At the last look: one follows every block, so that an append need not take one. */
  isReached = false;

  /** Until what is returned is called. */
  add(follower: BoundedFollower): () => void {
    this.#nearest.set(follower, Number.POSITIVE_INFINITY);
    this.look();
    return () => {
      this.#nearest.delete(follower);
      this.look();
    };
  }

  /** Who is too far behind now; `undefined` when nobody is. */
  look(): LagExcess | undefined {
    let found: LagExcess | undefined;
    for (const [follower, before] of this.#nearest) {
      const waiting = follower.lag();
      const nearest = Math.min(before, waiting);
      this.#nearest.set(follower, nearest);
      const waitingMax = nearest + follower.lagMax;
      if (waiting >= waitingMax) found ??= { name: follower.name, waiting, waitingMax };
    }
    this.isReached = found !== undefined;
    return found;
  }
}
