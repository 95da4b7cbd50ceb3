/**
 * The log over the EventStoreDB protocol against what published Node clients can take: server and client in processes of their own, the
 * CPU time of each for one event, all threads included. Where the client's is the larger one, the client is what bounds the two, and no
 * server would be faster for it. Ratios are the client's time over the server's: `readStream` and `readAll` for reading an event from
 * the log and sending it against decoding it; `append` for appending it durably with its index, 500 events a request, against sending
 * it; `appendToDecode` for the same against decoding it in a read. Interleaved, medians of the repeats.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "./measure.mjs";

const CLIENTS = ["@eventstore/db-client", "@kurrent/kurrentdb-client"];
const EVENTS = 20_000;
const BATCH = 500;
const WORKS = ["append", "readStream", "readAll"];

function child(name, args) {
  return fork(fileURLToPath(new URL(`./grpc/${name}.mjs`, import.meta.url)), args);
}

async function asked(process, message) {
  process.send(message);
  const [answer] = await once(process, "message");
  return answer;
}

async function round(server, clients, number, times) {
  for (const [name, client] of clients) {
    const stream = `orders-${name}-${number}`;
    for (const work of WORKS) {
      const before = await asked(server, "cpu");
      const { events, cpuUs, ms } = await asked(client, { work, stream, events: EVENTS, batch: BATCH });
      const after = await asked(server, "cpu");
      if (events !== EVENTS) throw new Error(`${name} got ${events} of ${EVENTS} events of ${work}`);
      const of = times[name][work];
      of.client.push(cpuUs / EVENTS);
      of.server.push((after.cpuUs - before.cpuUs) / EVENTS);
      of.rate.push((EVENTS * 1000) / ms);
    }
  }
}

function line(name, work, { client, server, rate }) {
  const us = (list) => `${median(list).toFixed(1).padStart(6)} µs`;
  const perSecond = Math.round(median(rate)).toLocaleString("en").padStart(8);
  return `  ${name.padEnd(26)} ${work.padEnd(10)} client ${us(client)}  server ${us(server)}  ${perSecond}/s`;
}

/** @param {{ repeats?: number }} options */
export async function main({ repeats = 5 } = {}) {
  const directory = mkdtempSync(join(tmpdir(), "millrace-grpc-bench-"));
  const server = child("server", [directory]);
  const clients = [];
  try {
    const [{ port }] = await once(server, "message");
    for (const name of CLIENTS) {
      const client = child("client", [name, String(port)]);
      await once(client, "message");
      clients.push([name, client]);
    }
    const empty = () => Object.fromEntries(WORKS.map((work) => [work, { client: [], server: [], rate: [] }]));
    const times = Object.fromEntries(CLIENTS.map((name) => [name, empty()]));
    // The first round compiles the code of all.
    await round(server, clients, 0, Object.fromEntries(CLIENTS.map((name) => [name, empty()])));
    for (let repeat = 1; repeat <= repeats; repeat++) await round(server, clients, repeat, times);
    return reported(times, repeats);
  } finally {
    for (const [, client] of clients) client.send("end");
    server.send("end");
    await once(server, "exit");
    rmSync(directory, { recursive: true });
  }
}

function reported(times, repeats) {
  const lines = CLIENTS.flatMap((name) => WORKS.map((work) => line(name, work, times[name][work])));
  const head = `grpc   node ${process.version}, CPU time of an event, medians of ${repeats} rounds of ${EVENTS} events`;
  process.stdout.write(`${head}\n${lines.join("\n")}\n`);
  const ratios = CLIENTS.map((name) => {
    const { append, readStream, readAll } = times[name];
    const against = (server, client) => Number((median(client) / median(server)).toFixed(2));
    return [
      name,
      {
        append: against(append.server, append.client),
        appendToDecode: against(append.server, readStream.client),
        readStream: against(readStream.server, readStream.client),
        readAll: against(readAll.server, readAll.client),
      },
    ];
  });
  return { ratios: Object.fromEntries(ratios) };
}
