/**
 * Types of events that Millrace itself writes, whether a log has any or not: asked for, they are no mistake. Literal, so that a command
 * that found nothing need not load all that writes them.
 */
export const OWN_EVENT_TYPES: readonly string[] = [
  "Step",
  "Owned",
  "Horizon",
  "LanesHeard",
  "SourceIdentified",
  "SourceMarked",
  "GraphAdded",
  "GraphDeployed",
  "GraphStarted",
  "GraphStopped",
  "GraphSuspended",
  "GraphResumed",
  "GraphFinished",
  "GraphFailed",
  "NodeRestarting",
  "NodeParked",
  "CutIntended",
  "DeadLetterRedriven",
  "DeadLettersSettled",
  "LegalHoldPlaced",
  "LegalHoldReleased",
  "LogPruned",
  "LogTruncated",
  "ErasureIntended",
  "SubjectErased",
  "$name",
  "$tail-cut",
  "$truncated",
];
