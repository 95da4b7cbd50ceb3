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
    remedy: "Stop the host and delete the `tile` folder and the file `frontier`: they are made again from the log.",
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
});
