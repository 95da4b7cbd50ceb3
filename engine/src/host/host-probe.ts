/** What a host says of itself, for telemetry graphs and status pages. */
export interface HostSample {
  /** Share of all processors that was busy since the sample before, 0 … 1. */
  readonly cpu: number;
  /** Share of the machine's memory in use, 0 … 1. */
  readonly memory: number;
  /** Load average over one minute; 0 where the system has none. */
  readonly load: number;
  /** How late timers of this process ran since the sample before, at worst, in ms. */
  readonly loopLagMs: number;
  /** Memory of this process in bytes, and of that the heap in use. */
  readonly residentBytes: number;
  readonly heapBytes: number;
}

/** Measures the host. Never fails; what a system does not tell is 0. */
export interface HostProbe {
  sample(): HostSample;
  close(): void;
}
