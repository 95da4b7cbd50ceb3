/**
 * A target outside the log. A sink delivers, then commits its cursor; what that is worth depends on the target (R27), and is
 * labelled so.
 */
import type { InputSlice } from "../behavior/committed-behavior.ts";
import type { ConnectionStatus } from "../connection/connection-status.ts";
import type { Json } from "../frame/json.ts";
import type { SinkGuarantee } from "./sink-guarantee.ts";

export interface SinkConnector {
  readonly guarantee: SinkGuarantee;
  /** The connection to the target, for whoever wants to see it; absent where there is none. */
  connection?(): ConnectionStatus;
  /**
   * Brings the target to exactly what was committed last (a file is cut back to the committed offset) and makes it ready.
   * `committed` is what the last committed {@link deliver} returned; `undefined` when nothing was ever committed.
   *
   * @throws SINK-FAILED (transient): the caller tries again with back-off
   */
  open(committed: Json | undefined): Promise<void>;
  /**
   * Makes the effect of all slices, in order, durable in the target. The result is committed together with the cursor.
   *
   * @throws SINK-FAILED (transient): nothing of this delivery counts; it is done again
   */
  deliver(slices: readonly InputSlice[]): Promise<Json>;
  close(): Promise<void>;
}
