/** What commands that run graphs are told of payloads in memory. */
import type { PayloadMemory } from "../host/host-payloads.ts";

export interface PayloadFlags {
  readonly payloads?: string;
  readonly payloadMib?: number;
  readonly payloadLeases?: number;
  readonly payloadLeaseMs?: number;
}

const MIB = 1024 * 1024;

export function payloadMemory({ payloads, payloadMib, payloadLeases, payloadLeaseMs }: PayloadFlags): PayloadMemory {
  return {
    dir: payloads,
    bytesMax: payloadMib === undefined ? undefined : payloadMib * MIB,
    slots: payloadLeases,
    leaseMs: payloadLeaseMs,
  };
}
