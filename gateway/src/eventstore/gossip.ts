/** `Gossip/Read`: a cluster of one, so that clients which look for a leader find it where they looked. */
import type { GrpcMethod } from "./endpoint-context.ts";
import { writeUuid } from "./uuid.ts";
import { WireWriter } from "./wire-writer.ts";

const LEADER = 8;
const TICKS_PER_MS = 10_000n;
/** Ticks from the year 1, which .NET counts from, to 1970. */
const EPOCH_TICKS = 621_355_968_000_000_000n;

export const gossip: GrpcMethod = async (call, { log, env }) => {
  await call.message();
  const { address, port } = call.local;
  const ticks = BigInt(Math.floor(env.clock.now())) * TICKS_PER_MS + EPOCH_TICKS;
  const message = new WireWriter().message(1, (member) => {
    writeUuid(member, 1, instanceId(log.id), true);
    member
      .uint(2, ticks)
      .uint(3, LEADER)
      .bool(4, true)
      .message(5, (endpoint) => endpoint.text(1, address).uint(2, port));
  });
  await call.send(message.finish());
};

/** Made from the log's id; some clients take only UUIDs of a version that RFC 9562 defines, here 4. */
function instanceId(logId: string): Buffer {
  const id = Buffer.from(logId, "hex");
  id.writeUInt8((id.readUInt8(6) & 0x0f) | 0x40, 6);
  id.writeUInt8((id.readUInt8(8) & 0x3f) | 0x80, 8);
  return id;
}
