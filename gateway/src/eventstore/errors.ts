import { defineErrors } from "@millrace/engine";

/** What the EventStoreDB-compatible endpoint answers beside the codes of the log; `grpc-status.ts` says how each goes over the wire. */
export const eventStoreError = defineErrors({
  "EVENTSTORE-INVALID": {
    kind: "rejected",
    summary: "A gRPC request is malformed, or asks for what cannot be.",
    remedy: "Read the message; it names the field.",
  },
  "EVENTSTORE-METADATA": {
    kind: "rejected",
    summary: "A proposed event lacks its type or content type.",
    remedy: "Send both in the event's metadata map, as every published client does.",
  },
  "EVENTSTORE-TOO-LARGE": {
    kind: "rejected",
    summary: "One append, or one gRPC message, is larger than the limit.",
    remedy: "Append fewer events at once; the limit is in the trailers.",
  },
  "EVENTSTORE-DENIED": {
    kind: "rejected",
    summary: "The caller may not do this: a token is needed, or the stream belongs to a graph.",
    remedy: "Send the token as the password of the credentials; write to streams of your own.",
  },
  "EVENTSTORE-WRONG-VERSION": {
    kind: "terminal",
    summary: "A stream's last revision is not what a delete expected.",
    remedy: "Read the stream and decide again.",
  },
  "EVENTSTORE-NOT-FOUND": {
    kind: "rejected",
    summary: "There is no such stream.",
    remedy: "Append to it first, or check its name.",
  },
  "EVENTSTORE-DELETED": {
    kind: "terminal",
    summary: "The stream was deleted; a tombstone is for ever.",
    remedy: "Use another stream name; a stream that was only soft-deleted takes appends again.",
  },
  "EVENTSTORE-GROUP-MISSING": {
    kind: "rejected",
    summary: "There is no such persistent subscription.",
    remedy: "Create it first, or list what there is.",
  },
  "EVENTSTORE-GROUP-EXISTS": {
    kind: "rejected",
    summary: "A persistent subscription of this name exists for the stream.",
    remedy: "Update it, or choose another name.",
  },
  "EVENTSTORE-GROUP-FULL": {
    kind: "terminal",
    summary: "The persistent subscription has as many subscribers as its settings allow.",
    remedy: "End one of them, or raise its maximum.",
  },
  "EVENTSTORE-GROUP-DROPPED": {
    kind: "terminal",
    summary: "The persistent subscription was updated or deleted, or its subscriber asked to stop.",
    remedy: "Subscribe again if it still exists.",
  },
  "EVENTSTORE-PROJECTION-MISSING": {
    kind: "rejected",
    summary: "There is no such projection.",
    remedy: "Create it first, or list what there is.",
  },
  "EVENTSTORE-PROJECTION-EXISTS": {
    kind: "rejected",
    summary: "There is a projection of this name.",
    remedy: "Update it, or choose another name.",
  },
  "EVENTSTORE-USERS": {
    kind: "terminal",
    summary: "Users cannot be made or changed over this protocol.",
    remedy: "Set MILLRACE_TOKEN for the host; clients send it as the password, with any user name.",
  },
  "EVENTSTORE-USER-MISSING": {
    kind: "rejected",
    summary: "There is no such user.",
    remedy: "Ask for the details of all users: there is one.",
  },
  "EVENTSTORE-ALONE": {
    kind: "terminal",
    summary: "The endpoint is a cluster of one, which cannot choose another leader.",
    remedy: "End the host; placement moves graphs, not this endpoint.",
  },
  "EVENTSTORE-UNIMPLEMENTED": {
    kind: "rejected",
    summary: "This endpoint does not serve the gRPC method.",
    remedy: "See the table of what is served in the documentation of the endpoint.",
  },
  "EVENTSTORE-BUSY": {
    kind: "transient",
    summary: "The endpoint is closing or has no room for the call.",
    remedy: "Connect again.",
  },
});
