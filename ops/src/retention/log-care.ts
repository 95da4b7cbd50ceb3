/**
 * What a keeper of the log may ask for: archive, prune, legal holds, erasure. Whoever has the data directory open does it: a running
 * host beside its graphs, or a command on the files of a stopped one. Requests are data, so that they can travel to a host.
 */
import type { ForgottenPayloads } from "@millrace/engine";
import type { ArchivedRange, PrunedRange } from "@millrace/streams/embedded";
import type { Static } from "typebox";
import type { Erasure } from "../personal/erase-subject.ts";
import type { CARE_REQUESTS } from "./care-requests.ts";
import type { LegalHold } from "./legal-holds.ts";

export type CareVerb = keyof typeof CARE_REQUESTS;
export type CareRequest<Verb extends CareVerb> = Static<(typeof CARE_REQUESTS)[Verb]>;

export interface ArchivedLogRange extends ArchivedRange {
  /** The first position that can be read. */
  readonly base: number;
}

export interface PrunedLogRange extends PrunedRange {
  /** Files of payloads that no event names any more. */
  readonly payloads: ForgottenPayloads;
}

/** `repeated` and `position` of an erasure that was done; absent: nothing was. */
export type ErasureAnswer = Pick<Erasure, "key" | "subjectHash"> & Partial<Pick<Erasure, "repeated" | "position">>;

export interface LogCare {
  /** @throws LOG-CORRUPT, LOG-FORK, LOG-ARCHIVE, AUDIT-KEY, AUDIT-CHECKPOINT */
  archive(request: CareRequest<"archive">): Promise<ArchivedLogRange>;
  /** @throws LOG-HELD, LOG-MANIFEST, PAYLOAD-FAILED */
  prune(request: CareRequest<"prune">): Promise<PrunedLogRange>;
  holds(request: CareRequest<"holds">): Promise<readonly LegalHold[]>;
  /** @throws LOG-HOLD */
  placeHold(request: CareRequest<"placeHold">): Promise<LegalHold>;
  /** @throws LOG-HOLD */
  releaseHold(request: CareRequest<"releaseHold">): Promise<LegalHold>;
  /** @throws PERSONAL-UNKNOWN, PERSONAL-HELD, PERSONAL-KEYS, PERSONAL-DELIVERY */
  erase(request: CareRequest<"erase">): Promise<ErasureAnswer>;
}
