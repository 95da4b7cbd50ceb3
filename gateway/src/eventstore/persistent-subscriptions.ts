/** The service `PersistentSubscriptions`: groups that share events, their settings, their subscribers. */
import { authorOf, type EndpointContext, type GrpcMethod } from "./endpoint-context.ts";
import { eventStoreError } from "./errors.ts";
import type { Group, NackAction } from "./group.ts";
import { groupInfo } from "./group-info.ts";
import { ALL, checkedName, type GroupName, readDefinition } from "./group-settings.ts";
import type { GroupSubscriber } from "./group-subscriber.ts";
import type { Groups } from "./groups.ts";
import type { GrpcCall } from "./grpc-call.ts";
import { OPERATIONS } from "./operations.ts";
import { streamName } from "./stream-requests.ts";
import { readUuid } from "./uuid.ts";
import { WireMessage } from "./wire-reader.ts";
import { WireWriter } from "./wire-writer.ts";

const SERVICE = "/event_store.client.persistent_subscriptions.PersistentSubscriptions";
const EMPTY = Buffer.alloc(0);

export function persistentSubscriptions(groups: Groups): readonly (readonly [string, GrpcMethod])[] {
  const restart = changing(() => groups.close("persistent subscriptions were restarted"));
  return [
    [`${SERVICE}/Create`, changing((options, author) => groups.create(readDefinition(options), author))],
    [`${SERVICE}/Update`, changing((options, author) => groups.update(readDefinition(options), author))],
    [`${SERVICE}/Delete`, changing((options, author) => groups.delete(groupName(options, 3, 2), author))],
    [`${SERVICE}/ReplayParked`, changing((options) => replayParked(groups, options))],
    [`${SERVICE}/GetInfo`, (call, context) => getInfo(call, context, groups)],
    [`${SERVICE}/List`, (call, context) => list(call, context, groups)],
    [`${SERVICE}/Read`, (call, context) => read(call, context, groups)],
    [`${SERVICE}/RestartSubsystem`, restart],
    [`${OPERATIONS}/RestartPersistentSubscriptions`, restart],
  ];
}

/** A method that is asked with `options = 1`, changes something and answers nothing. */
function changing(change: (options: WireMessage, author: ReturnType<typeof authorOf>) => Promise<void>): GrpcMethod {
  return async (call, context) => {
    const author = authorOf(call, context);
    await change(new WireMessage(await call.message()).message(1), author);
    await call.send(EMPTY);
  };
}

/** The fields differ from request to request but for the stream's. */
function groupName(options: WireMessage, all: number, group: number, stream = 1): GroupName {
  const isAll = options.has(all);
  return checkedName(isAll ? ALL : streamName(options.message(stream)), options.text(group));
}

async function replayParked(groups: Groups, options: WireMessage): Promise<void> {
  const group = await groups.get(groupName(options, 3, 1, 2));
  await group.replay(options.has(4) ? options.uint(4) : Number.POSITIVE_INFINITY);
}

async function getInfo(call: GrpcCall, context: EndpointContext, groups: Groups): Promise<void> {
  const options = new WireMessage(await call.message()).message(1);
  const info = await groupInfo(await groups.get(groupName(options, 2, 3)), context);
  await call.send(new WireWriter().message(1, info).finish());
}

async function list(call: GrpcCall, context: EndpointContext, groups: Groups): Promise<void> {
  const options = new WireMessage(await call.message()).message(1);
  const option = options.message(2);
  const wanted = options.has(1) ? undefined : option.has(2) ? ALL : streamName(option.message(1));
  const definitions = (await groups.list()).filter(({ stream }) => wanted === undefined || stream === wanted);
  if (definitions.length === 0 && wanted !== undefined) {
    const details = { stream: wanted, group: "" };
    throw eventStoreError("EVENTSTORE-GROUP-MISSING", `No subscription group on stream ${wanted}.`, { details });
  }
  const writer = new WireWriter();
  for (const definition of definitions) writer.message(1, await groupInfo(await groups.get(definition), context));
  await call.send(writer.finish());
}

/** The first message says which group; all others acknowledge. */
async function read(call: GrpcCall, context: EndpointContext, groups: Groups): Promise<void> {
  const author = authorOf(call, context);
  let joined: { readonly group: Group; readonly subscriber: GroupSubscriber } | undefined;
  try {
    for await (const message of call.messages()) {
      const request = new WireMessage(message);
      if (request.has(1)) {
        if (joined !== undefined) throw eventStoreError("EVENTSTORE-INVALID", "the call has a group already");
        const options = request.message(1);
        const group = await groups.get(groupName(options, 5, 2));
        const structuredIds = !options.has(4) || options.message(4).has(1);
        joined = { group, subscriber: await group.join(call, author, options.int32(3), structuredIds) };
      } else if (joined === undefined) {
        throw eventStoreError("EVENTSTORE-INVALID", "the call answers before it has a group");
      } else await answer(joined.group, joined.subscriber, request);
    }
  } finally {
    joined?.group.leave(joined.subscriber);
  }
}

/** As Nack.Action numbers them; what is unknown is tried again. */
const ACTIONS: readonly NackAction[] = ["retry", "park", "retry", "skip", "stop"];

async function answer(group: Group, subscriber: GroupSubscriber, request: WireMessage): Promise<void> {
  const isAck = request.has(2);
  const body = request.message(isAck ? 2 : 3);
  const action = ACTIONS[body.int32(3)] ?? "retry";
  for (const id of body.messages(2)) {
    const key = readUuid(id).toString("hex");
    if (isAck) group.ack(key, subscriber);
    else await group.nack(key, subscriber, action, body.text(4));
  }
}
