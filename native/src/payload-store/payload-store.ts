/** The best payload store that this machine can have. */
import type { Env, PayloadStore } from "@millrace/engine";
import { messageOf } from "@millrace/engine/worker";
import { addonState } from "../addon.ts";
import { openFilePayloadStore } from "./file-payload-store.ts";
import { openMappedPayloadStore } from "./mapped-payload-store.ts";

export interface PayloadStoreOptions {
  /** Best on a memory file system; belongs to one user. Created with mode 0700; an existing one is made so. */
  readonly dir: string;
  readonly env: Env;
  /** Bytes of payloads that this process may hold. Default 256 MiB. */
  readonly bytesMax?: number;
  /** Of a mapped store: payloads that this process may lease; beyond them its readers copy. Default 4096. */
  readonly slots?: number | undefined;
  /** Of a mapped store: how long a process may stand still and keep its leases, in ms. Default 5000. */
  readonly leaseMs?: number | undefined;
}

export interface OpenedPayloadStore {
  readonly store: PayloadStore;
  /** Whether readers map the payload or copy it. Stores of both kinds in one directory do not see each other. */
  readonly kind: "mapped" | "copied";
  /** Why it is not mapped. */
  readonly reason?: string;
}

/** @throws PAYLOAD-FAILED the directory cannot be used at all */
export function openPayloadStore({ dir, env, bytesMax, slots, leaseMs }: PayloadStoreOptions): OpenedPayloadStore {
  const limits = bytesMax === undefined ? {} : { bytesMax };
  const state = addonState();
  const copied = (reason: string): OpenedPayloadStore => ({
    store: openFilePayloadStore({ dir, env, ...limits }),
    kind: "copied",
    reason,
  });
  if (!state.inUse) return copied(`the native addon is not in use: ${state.reason}`);
  try {
    return { store: openMappedPayloadStore({ dir, ...limits, slots, leaseMs }), kind: "mapped" };
  } catch (error) {
    const { cause } = error as Error;
    return copied(messageOf(cause ?? error));
  }
}
