/** Whether a reader of its own stream would see an event: a link to one that is deleted or truncated points at nothing. */
import type { EndpointContext } from "./endpoint-context.ts";
import { firstVisible, isSoftDeleted, isTooOld } from "./stream-metadata.ts";

export interface EventPlace {
  readonly stream: string;
  readonly revision: number;
  readonly timeMs: number;
}

export async function isHidden(
  { stream, revision, timeMs }: EventPlace,
  { states, log, env }: Pick<EndpointContext, "states" | "log" | "env">,
): Promise<boolean> {
  const { isTombstoned, metadata } = await states.of(stream);
  if (isTombstoned || isSoftDeleted(metadata) || isTooOld(metadata, { timeMs }, env.clock.now())) return true;
  const head = metadata.maxCount === undefined ? -1 : await log.head(stream);
  return revision < firstVisible(metadata, head);
}
