import { defineErrors } from "../errors.ts";

export const personalError = defineErrors({
  "PERSONAL-SUBJECT": {
    kind: "rejected",
    summary: "A message of a source with personal fields does not say whose they are, so they cannot be sealed.",
    remedy: "Give the message a text or number in the field that `personal.subject` names; it is not kept without.",
  },
  "PERSONAL-INPUT": {
    kind: "rejected",
    summary: "Input of a source with personal fields is no message; it is not kept, because it may hold personal data.",
    remedy: "Look at the source at the position given, and correct it there.",
  },
  "PERSONAL-KEYS": {
    kind: "terminal",
    summary: "The keys of subjects cannot be read or written.",
    remedy:
      "Read the cause. A damaged `keys/subjects.keys` comes back from a copy of it; erase again what was erased since.",
  },
  "PERSONAL-HELD": {
    kind: "rejected",
    summary: "A legal hold covers events with values of the subject, so it cannot be erased.",
    remedy: "Ask who placed the hold; `millrace log hold release` ends it, and both are events of the log.",
  },
  "PERSONAL-DELIVERY": {
    kind: "transient",
    summary:
      "The key of the subject is destroyed, but a sink that was delivering its values before has not ended that yet.",
    remedy: "Erase again: it waits again, and says when it is over. A sink that hangs ends when its graph is stopped.",
  },
  "PERSONAL-UNKNOWN": {
    kind: "rejected",
    summary: "There is no key for a subject: nothing was ever sealed for it here.",
    remedy: "Write the subject exactly as messages have it; erasing does not fold case or trim.",
  },
});
