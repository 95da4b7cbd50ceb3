import { defineErrors } from "@millrace/engine";

export const auditError = defineErrors({
  "LOG-FORK": {
    kind: "terminal",
    summary:
      "The log's records do not give the root that was signed for them: records were changed behind a checkpoint.",
    remedy:
      "Keep log and audit directory as evidence and find out who had access. Put both back from a copy; `millrace audit verify` names the first position that differs.",
  },
  "AUDIT-AHEAD": {
    kind: "terminal",
    summary: "A signed checkpoint covers positions that the log does not have: the log lost its tail.",
    remedy: "Put the newest segments back from a copy; nothing is signed until then.",
  },
  "AUDIT-CHECKPOINT": {
    kind: "terminal",
    summary: "The checkpoint file is damaged, or signed by another key.",
    remedy:
      "Put it back from a copy, such as one that an auditor has kept. Nothing is signed until then; appends go on.",
  },
  "AUDIT-TILE": {
    kind: "terminal",
    summary: "A tile or the frontier of the tree is missing or damaged, though the log's records are what was signed.",
    remedy: "Stop the host and delete the file `frontier`: the tiles are made again from the log.",
  },
  "AUDIT-KEY": {
    kind: "terminal",
    summary: "A key of the audit directory is missing, damaged, or not the one that was expected.",
    remedy:
      "Put the key back from a copy. If it is lost, keep the log's folder below `audit` elsewhere: a new key is made, and auditors must be told of it.",
  },
  "AUDIT-RANGE": {
    kind: "rejected",
    summary: "A position or size is not covered by the newest checkpoint.",
    remedy: "Ask for one below the checkpoint's size; records that were just written are signed within seconds.",
  },
  "WITNESS-AHEAD": {
    kind: "terminal",
    summary:
      "A witness has cosigned more records of this log than it has: the log was put back to an older state, and records are lost.",
    remedy:
      "Stop the host and put log and audit directory back from the newest copy. What is appended meanwhile is another history, which the witness will not cosign.",
  },
  "WITNESS-FORK": {
    kind: "terminal",
    summary:
      "A witness has cosigned other records than this log has: its history was rewritten, or regrown after a loss.",
    remedy:
      "Keep log and audit directory as evidence; compare with a checkpoint that the witness or an auditor has kept (`millrace audit verify --since`).",
  },
  "WITNESS-UNAVAILABLE": {
    kind: "transient",
    summary: "A witness does not answer, or says that it cannot now.",
    remedy: "Nothing is held back; it is asked again, at last every five minutes. If it lasts, ask its operator.",
  },
  "WITNESS-REFUSED": {
    kind: "terminal",
    summary: "A witness refuses to cosign: usually it does not know this log or its key.",
    remedy:
      "Give its operator the log's verifier key (`millrace audit key`). It is asked again, at last every five minutes.",
  },
  "WITNESS-ANSWER": {
    kind: "terminal",
    summary: "What a witness answered is no cosignature of the checkpoint by the key that it is known by.",
    remedy: "Compare address and verifier key with what the witness's operator publishes.",
  },
  "WITNESS-MISSING": {
    kind: "terminal",
    summary: "Fewer witnesses have cosigned the log than were asked for.",
    remedy: "The message names those that are missing; look at their state on `/readyz` of the host.",
  },
});
