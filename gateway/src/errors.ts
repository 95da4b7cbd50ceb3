import { defineErrors } from "@millrace/engine";

/** What the HTTP face itself may answer; errors of the engine and of projections pass through with their own codes. */
export const gatewayError = defineErrors({
  "HTTP-INVALID": {
    kind: "rejected",
    summary: "A request does not fit its schema.",
    remedy: "Correct the fields that `errors` names; /docs shows the schema.",
  },
  "HTTP-NOT-FOUND": {
    kind: "rejected",
    summary: "Nothing is at this address.",
    remedy:
      "See what there is: `millrace graph ls`, `millrace projection ls`; over HTTP /api/v1/graphs, /api/v1/projections, /docs.",
  },
  "HTTP-METHOD": {
    kind: "rejected",
    summary: "The address does not take this method.",
    remedy: "Look up the route in /docs.",
  },
  "HTTP-TOO-LARGE": {
    kind: "rejected",
    summary: "A body or header is larger than the limit.",
    remedy: "Send less at once: 1 MB, or 16 MB to a push source.",
  },
  "HTTP-MEDIA-TYPE": {
    kind: "rejected",
    summary: "The body has a content type that the route does not read.",
    remedy: "Send application/json, or application/x-ndjson to a push source.",
  },
  "HTTP-FORBIDDEN": {
    kind: "rejected",
    summary: "The request comes from another site, or names a host that this server is not.",
    remedy: "Use the console of this server, or send the token as `Authorization: Bearer …`.",
  },
  "HTTP-UNAUTHORIZED": {
    kind: "rejected",
    summary: "The token is missing or wrong.",
    remedy:
      "Send what `MILLRACE_TOKEN` of the server says as `Authorization: Bearer …`; commands take it from the same variable.",
  },
  "HTTP-SIGNATURE": {
    kind: "rejected",
    summary: "A push to a source with a `secret` has no signature, a wrong one, or one that is too old.",
    remedy:
      "Sign id, time and body with the source's secret as Standard Webhooks says; set the sender's clock if `details.reason` is stale.",
  },
  "HTTP-STALE": {
    kind: "rejected",
    summary: "The graph has another revision than `If-Match` says.",
    remedy: "Read the graph again and decide again.",
  },
  "HTTP-BUSY": {
    kind: "transient",
    summary: "The server has no place for this request now.",
    remedy: "Try again after `Retry-After` seconds.",
  },
  "HTTP-CLIENT-GONE": {
    kind: "rejected",
    summary: "The client closed its connection before it had its answer; what was being read for it ended.",
    remedy: "Nothing is wrong here: ask again if the answer is still wanted.",
  },
  "HTTP-MALFORMED": {
    kind: "rejected",
    summary: "The request is not well-formed HTTP or JSON.",
    remedy: "Read `detail` for the place.",
  },
});
