import { defineErrors } from "@millrace/engine/worker";

/** What only a log on a disk of its own can answer; the port's codes are in the engine's catalogue. */
export const embeddedLogError = defineErrors({
  "LOG-CORRUPT": {
    kind: "terminal",
    summary: "Bytes of the log that were once whole are now others.",
    remedy:
      "Put the file back from a copy; the details name file, offset and position. Nothing was cut. Without a copy, `millrace log repair` says what is lost, and `--accept-loss` cuts it.",
  },
  "LOG-MANIFEST": {
    kind: "terminal",
    summary: "The manifest is unreadable, or a segment it names is missing, swapped or of another log.",
    remedy:
      "Put the named file back from a copy. Without one, `millrace log repair` makes it again where it can, or says what is lost.",
  },
  "LOG-LOCKED": {
    kind: "terminal",
    summary: "Another process has this log open.",
    remedy: "Stop the other process, with which the lock ends, or use another data directory.",
  },
  "LOG-TAIL-LOST": {
    kind: "terminal",
    summary: "Something durable has seen positions that the log no longer has, or has seen others there.",
    remedy:
      "The log is older than its witness: put the newest segment back from a copy. Without one, `millrace log repair` says what is lost.",
  },
  "LOG-FSYNC": {
    kind: "terminal",
    summary: "A block write failed, so the state of the disk is unknown.",
    remedy: "The host exits; look at the disk, then start again: recovery decides from what the disk has.",
  },
  "LOG-PRUNED": {
    kind: "terminal",
    summary: "What was asked for was pruned from the log.",
    remedy: "Read from the base on, which the details name; proofs of what is below it hold as before.",
  },
  "LOG-ARCHIVE": {
    kind: "terminal",
    summary: "A file of the archive is missing, cut, swapped or damaged.",
    remedy:
      "Put the named file back from a copy; `millrace log repair` makes it again where the segment is still here.",
  },
  "LOG-HELD": {
    kind: "terminal",
    summary: "Something still needs the range that was to be pruned: a legal hold, a checkpoint, a cursor.",
    remedy: "The details name who needs it and from which position; release the hold or let the reader catch up.",
  },
  "LOG-SCHEMA": {
    kind: "terminal",
    summary: "The log was written in a format that this version does not know.",
    remedy: "Open it with the version that wrote it, or a newer one.",
  },
});
