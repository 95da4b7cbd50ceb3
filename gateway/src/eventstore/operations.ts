/**
 * The services `Operations` and `Users`, as far as they mean something here. What cannot be is refused with a reason, by a status that a client
 * takes for an error: nothing answers as if it had been done.
 */
import { authorOf, type GrpcMethod } from "./endpoint-context.ts";
import { eventStoreError } from "./errors.ts";
import { WireMessage } from "./wire-reader.ts";
import { WireWriter } from "./wire-writer.ts";

export const OPERATIONS = "/event_store.client.operations.Operations";
const USERS = "/event_store.client.users.Users";

/** Why an operation of EventStoreDB is none of Millrace's. */
const NOT_HERE: Readonly<Record<string, string>> = {
  StartScavenge: "the log is never rewritten: `millrace log archive` and `millrace log prune` free its disk",
  StopScavenge: "no scavenge is ever under way; see StartScavenge",
  MergeIndexes: "the index is one tree, which has nothing to merge",
  Shutdown: "a host is ended where it was started",
};

/** Of a cluster of one. */
const ALONE = ["ResignNode", "SetNodePriority"] as const;

const USER_CHANGES = ["Create", "Update", "Delete", "Disable", "Enable", "ChangePassword", "ResetPassword"] as const;

/** Served, and worth asking for. */
export const userDetails: readonly [string, GrpcMethod] = [`${USERS}/Details`, details];

/** Methods that answer why they are not served; a client that asks what is served is not told of them. */
export const REFUSED: ReadonlyMap<string, GrpcMethod> = new Map([
  ...Object.entries(NOT_HERE).map(
    ([method, why]) =>
      [
        `${OPERATIONS}/${method}`,
        refusing(() => eventStoreError("EVENTSTORE-UNIMPLEMENTED", `${method}: ${why}`)),
      ] as const,
  ),
  ...ALONE.map(
    (method) =>
      [
        `${OPERATIONS}/${method}`,
        refusing(() => eventStoreError("EVENTSTORE-ALONE", `${method}: there is no other node that could lead`)),
      ] as const,
  ),
  ...USER_CHANGES.map(
    (method) =>
      [
        `${USERS}/${method}`,
        refusing(() =>
          eventStoreError(
            "EVENTSTORE-USERS",
            `${method}: users are not kept here; a token of the host says who may write`,
          ),
        ),
      ] as const,
  ),
]);

/** Whoever may not ask for it learns no more than that. */
function refusing(why: () => Error): GrpcMethod {
  return async (call, context) => {
    authorOf(call, context);
    await call.message();
    throw why();
  };
}

/** `Users/Details`: the one principal there is, `local` without a token and `token` with it; no name asks for all. */
async function details(...[call, context]: Parameters<GrpcMethod>): Promise<void> {
  authorOf(call, context);
  const wanted = new WireMessage(await call.message()).message(1).text(1);
  const { isOpen } = context.access;
  const login = isOpen ? "local" : "token";
  if (wanted !== "" && wanted !== login)
    throw eventStoreError("EVENTSTORE-USER-MISSING", `There is no user ${wanted.slice(0, 200)}.`, {
      details: { user: wanted.slice(0, 200) },
    });
  const fullName = isOpen ? "Whoever reaches the port" : "Whoever has the token of the host";
  const message = new WireWriter().message(1, (user) =>
    user.text(1, login).text(2, fullName).text(3, "$admins").bool(5, false),
  );
  await call.send(message.finish());
}
