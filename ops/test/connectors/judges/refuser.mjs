/**
 * A listener of AMQP 1.0 that refuses, as a process of its own. What it does with a message is in the name of the address; what it
 * accepted it writes to its output, with the address, a line each, the first of which is its port.
 */
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

const rhea = createRequire(import.meta.url)("rhea");
const LINK_BYTES_MAX = 1000;
const TURN_MS = 2;
const container = rhea.create_container();
let turn = Promise.resolve();
/** How often a message was given back, by its id. */
const given = new Map();

container.on("receiver_open", ({ receiver }) => {
  const address = receiver.remote.attach.target.address;
  receiver.set_target({ address });
  if (address === "small") receiver.local.attach.max_message_size = LINK_BYTES_MAX;
});

container.on("message", ({ receiver, delivery, message }) => {
  const { address } = receiver.remote.attach.target;
  const text = message.body.content.toString();
  // One after the other: the library tells outcomes of one turn together, and takes them for the same.
  turn = turn
    .then(() => sleep(TURN_MS))
    .then(() => {
      if (text.includes("bad")) refuse(address, receiver, delivery, message);
      else accept(address, delivery, text);
    });
});

function refuse(address, receiver, delivery, { message_id: id, body }) {
  if (address === "rejects") delivery.reject({ condition: "amqp:not-allowed", description: "it is bad" });
  else if (address === "rejects-silently") delivery.reject();
  else if (address === "closes")
    receiver.close({ condition: "amqp:link:message-size-exceeded", description: "no more than this" });
  else if ((given.get(id) ?? 0) < 2) {
    given.set(id, (given.get(id) ?? 0) + 1);
    delivery.release();
  } else accept(address, delivery, body.content.toString());
}

function accept(address, delivery, text) {
  delivery.accept();
  process.stdout.write(`${JSON.stringify({ address, message: JSON.parse(text) })}\n`);
}

container.on("disconnected", () => undefined);
container.on("error", () => undefined);
const server = container.listen({
  port: 0,
  host: "127.0.0.1",
  receiver_options: { autoaccept: false, credit_window: 100 },
});
server.on("listening", () => process.stdout.write(`${server.address().port}\n`));
