/**
 * One published Node client, unmodified, in a process of its own: `fork`ed with the name of its package and the port. It does what it is
 * told, and answers with the events and the CPU time that they took of it.
 */
import { createRequire } from "node:module";

const [, , name, port] = process.argv;
const api = createRequire(import.meta.url)(name);
const Client = api.EventStoreDBClient ?? api.KurrentDBClient;
const client = Client.connectionString(`esdb://127.0.0.1:${port}?tls=false`);
const AT_ONCE = 8;
const DATA = { customer: "c-1042", amount: 120.5, currency: "EUR", note: "x".repeat(90) };

const WORK = {
  async append({ stream, events, batch }) {
    const data = Array.from({ length: batch }, (_, n) => api.jsonEvent({ type: "OrderPlaced", data: { n, ...DATA } }));
    // A retry of the same ids would append nothing.
    const next = () => data.map((event) => ({ ...event, id: crypto.randomUUID() }));
    let left = events / batch;
    const caller = async () => {
      while (left-- > 0) await client.appendToStream(stream, next());
    };
    await Promise.all(Array.from({ length: AT_ONCE }, caller));
    return events;
  },
  readStream: ({ stream, events }) => counted(client.readStream(stream, { maxCount: events })),
  readAll: ({ events }) => counted(client.readAll({ maxCount: events })),
};

async function counted(reading) {
  let count = 0;
  for await (const { event } of reading) if (event !== undefined) count++;
  return count;
}

process.on("message", async (message) => {
  if (message === "end") {
    await client.dispose();
    process.exit(0);
  }
  const before = process.cpuUsage();
  const startedMs = performance.now();
  const events = await WORK[message.work](message);
  const { user, system } = process.cpuUsage(before);
  process.send({ events, cpuUs: user + system, ms: performance.now() - startedMs });
});
process.send("ready");
