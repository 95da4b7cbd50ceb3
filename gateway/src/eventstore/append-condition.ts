/** Conditions of appends as clients write them: over REST in the request, over gRPC as `$condition` in the metadata of the first event. */
import type { AppendCondition, EventFilter, EventLog } from "@millrace/engine";
import type { Static } from "typebox";
import { ConditionSchema } from "../schema/append.ts";
import { eventStoreError } from "./errors.ts";

type ClientCondition = Static<typeof ConditionSchema>;

const PROPERTY = "$condition";

/** @throws EVENTSTORE-INVALID it names a position that is not in the log, so that it would hold nothing off */
export function conditionOf({ none, after }: ClientCondition, log: EventLog): AppendCondition {
  if (after >= log.durableEnd)
    throw eventStoreError(
      "EVENTSTORE-INVALID",
      `the condition is after ${after}, and the log ends at ${log.durableEnd}`,
    );
  return { none: none.map(filterOf), after };
}

/** Nothing to wait for where there is none, which is told without looking into most metadata. Rejects with EVENTSTORE-INVALID if it cannot be read. */
export function conditionIn(metadata: Uint8Array | undefined, log: EventLog): Promise<AppendCondition> | undefined {
  if (metadata === undefined || metadata.length === 0) return undefined;
  const bytes = Buffer.from(metadata.buffer, metadata.byteOffset, metadata.byteLength);
  if (!bytes.includes(`"${PROPERTY}"`)) return undefined;
  const condition = propertyOf(bytes.toString("utf8"));
  return condition === undefined ? undefined : checked(condition, log);
}

async function checked(condition: unknown, log: EventLog): Promise<AppendCondition> {
  // Loaded with the first condition: most hosts never get one.
  const { Check, Errors } = await import("typebox/value");
  if (Check(ConditionSchema, condition)) return conditionOf(condition, log);
  const [first] = Errors(ConditionSchema, condition);
  throw eventStoreError("EVENTSTORE-INVALID", `${PROPERTY}${first?.instancePath} ${first?.message}`);
}

/** Metadata that is no JSON says nothing. */
function propertyOf(text: string): unknown {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>)[PROPERTY] : undefined;
  } catch {
    return undefined;
  }
}

function filterOf({ correlation, ...rest }: ClientCondition["none"][number]): EventFilter {
  return {
    ...rest,
    ...(correlation === undefined ? {} : { correlationId: Uint8Array.from(Buffer.from(correlation, "hex")) }),
  };
}
