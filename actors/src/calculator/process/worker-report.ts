/** What a worker says of itself, its file and its rows, as the host believes it. */
import type { MillraceError, Place } from "@millrace/engine";
import { actorError } from "../../errors.ts";
import { reported } from "../calculator-error.ts";
import { FrameError, type WorkerFrame } from "./frame.ts";

export type Ready = Extract<WorkerFrame, { is: "ready" }>;

/** @throws FrameError it takes no rows */
export function readyOf(frame: Ready): Ready {
  const { name, stateful, details, credit } = frame;
  if (!Number.isSafeInteger(credit) || credit < 1) throw new FrameError(`credit of ${String(credit)} rows`);
  return { is: "ready", name: String(name ?? ""), stateful: stateful === true, details: details ?? null, credit };
}

/** `CALC-LOAD` with the place in the author's file. */
export function refusal({ msg, place }: Extract<WorkerFrame, { is: "refused" }>, file: string): MillraceError {
  const at: Place = { file, ...(typeof place === "object" && place !== null ? place : {}) };
  return actorError("CALC-LOAD", `${at.file ?? file} does not load: ${String(msg)}`, { place: at });
}

/** An error that a worker reports of a row; codes that are not for it to use become `CALC-THREW`. */
export function reportedError(report: unknown): MillraceError {
  const { code, msg, place } = (report ?? {}) as {
    readonly code?: unknown;
    readonly msg?: unknown;
    readonly place?: unknown;
  };
  const at = typeof place === "object" && place !== null ? (place as Place) : undefined;
  return reported(code, String(msg ?? "it failed without a reason"), at);
}
