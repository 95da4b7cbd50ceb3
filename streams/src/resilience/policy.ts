/** How a connection is made, watched and given up. */

export interface ResiliencePolicy {
  /** For connecting to one endpoint. Default 5 s. */
  readonly connectTimeoutMs: number;
  /** First wait after a round through all endpoints failed; doubles up to `backoffMaxMs`. Default 100 ms. */
  readonly backoffMs: number;
  /** Default 5 s. */
  readonly backoffMaxMs: number;
  /** Share of a wait that is random, `0..1`, so that many clients do not come back at once. Default 0.2. */
  readonly jitter: number;
  /** Failed rounds in a row after which nothing is attempted for `suspendMs`; one trial follows. Default 5. */
  readonly suspendAfter: number;
  /** Default 10 s. */
  readonly suspendMs: number;
  /** A connection that is up is asked for an answer this often. Default 5 s. */
  readonly probeEveryMs: number;
  /** Without an answer within this time the connection counts as broken. Default 3 s. */
  readonly probeTimeoutMs: number;
}

export const DEFAULT_RESILIENCE: ResiliencePolicy = {
  connectTimeoutMs: 5000,
  backoffMs: 100,
  backoffMaxMs: 5000,
  jitter: 0.2,
  suspendAfter: 5,
  suspendMs: 10_000,
  probeEveryMs: 5000,
  probeTimeoutMs: 3000,
};
