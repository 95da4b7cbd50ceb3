/** What of the log can still be read: the archived segments that lead up to the first one that is here, and all from there on. */
import { embeddedLogError } from "./errors.ts";
import type { Manifest } from "./manifest.ts";

export interface KeptFrom {
  readonly serial: number;
  /** The base: the first position whose record can be read. */
  readonly position: number;
}

export function keptFrom({ first, base, segments }: Manifest): KeptFrom {
  let serial = first;
  while (segments[String(serial - 1)]?.state === "archived") serial--;
  return { serial, position: serial === first ? base : (segments[String(serial)]?.firstPos ?? base) };
}

/** A read below the base, by position. */
export function prunedBelow(base: number, from: number): Error {
  const message = `positions ${from} to ${base - 1} were pruned; the log begins at ${base}`;
  return embeddedLogError("LOG-PRUNED", message, { place: { position: from }, details: { from, base } });
}

/** A read that came to a segment after it was pruned. */
export function segmentPruned(serial: number, base: number): Error {
  return embeddedLogError("LOG-PRUNED", `segment ${serial} was pruned; the log begins at ${base}`, {
    place: { position: base },
    details: { serial, base },
  });
}

/** A read of revisions that were pruned. */
export function revisionPruned(stream: string, revision: number, base: number): Error {
  const message = `revision ${revision} of ${stream} was pruned; the log begins at ${base}`;
  return embeddedLogError("LOG-PRUNED", message, { place: { stream }, details: { stream, revision, base } });
}

/** A retry whose first attempt, if there was one, is below the base: nobody can say whether it is the same. */
export function retryPruned(position: number, base: number): Error {
  const message = `the append would have been at position ${position}; the log begins at ${base}`;
  return embeddedLogError("LOG-PRUNED", message, { place: { position }, details: { position, base } });
}
