/** The error catalogue of connectors to S3. */
import { defineErrors } from "@millrace/engine";

export const s3Error = defineErrors({
  "S3-CHANGED": {
    kind: "terminal",
    summary: "An object was replaced or removed before all of it was read.",
    remedy:
      "Write objects once, each under a key of its own. What was read of the earlier object has been sent; to read the present ones from the beginning give the node another name.",
  },
  "S3-FORMAT": {
    kind: "terminal",
    summary: "The name of an object does not say in which format it is.",
    remedy: "Add `format=` to the address of the source, or choose a prefix that has only objects of known formats.",
  },
  "S3-SIZE": {
    kind: "terminal",
    summary: "An object is larger than a source reads.",
    remedy: "Split objects of 256 GiB and more.",
  },
  "S3-FOREIGN": {
    kind: "terminal",
    summary: "An object that a sink did not write lies under a key that it would write next.",
    remedy: "Move the object away, or give the sink another prefix; what lies under its keys must be its own.",
  },
  "S3-DENIED": {
    kind: "transient",
    summary: "The service refuses what is asked with these credentials, or without any.",
    remedy:
      "Correct the credentials or what they permit: a source lists and gets, a sink lists, gets and puts. The node goes on by itself.",
  },
});
