/** A Node-RED flow of five function nodes and a counting one, headless; tells its parent the CPU nanoseconds per message. */
const http = require("node:http");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const peers = require("node:module").createRequire(path.join(__dirname, "peers", "package.json"));
const RED = peers("node-red");
const server = http.createServer(peers("express")());

let received = () => undefined;
const node = (id, to, func) => ({
  id,
  type: "function",
  z: "t1",
  name: id,
  x: 100,
  y: 100,
  func,
  outputs: 1,
  timeout: 0,
  noerr: 0,
  initialize: "",
  finalize: "",
  libs: [],
  wires: to ? [[to]] : [],
});
const flow = [
  { id: "t1", type: "tab", label: "five" },
  ...[0, 1, 2, 3, 4].map((i) =>
    node(`n${i}`, i < 4 ? `n${i + 1}` : "sink", "msg.payload = msg.payload + 1; return msg;"),
  ),
  node("sink", undefined, 'global.get("received")(); return null;'),
];

function send(first, n) {
  return new Promise((resolve) => {
    let got = 0;
    let sent = 0;
    const more = () => {
      const until = Math.min(n, sent + 1024);
      while (sent < until) first.receive({ payload: sent++ });
    };
    received = () => {
      if (++got === n) resolve();
      else if (got === sent) more();
    };
    more();
  });
}

async function main() {
  RED.init(server, {
    httpAdminRoot: false,
    httpNodeRoot: false,
    userDir: fs.mkdtempSync(path.join(os.tmpdir(), "node-red-")),
    logging: { console: { level: "off" } },
    functionExternalModules: false,
    functionGlobalContext: { received: () => received() },
    flowFile: "flow.json",
  });
  const startedFlows = () => new Promise((resolve) => RED.events.once("flows:started", resolve));
  // The stored flows are started after `start` has resolved, and would replace ours.
  const stored = startedFlows();
  await RED.start();
  await stored;
  const own = startedFlows();
  await RED.runtime.flows.setFlows({ flows: { flows: flow }, deploymentType: "full" });
  await own;
  const first = peers("@node-red/runtime/lib/flows").get("n0");
  await send(first, 2000);
  const figures = [];
  for (let i = 0; i < 5; i++) {
    const before = process.cpuUsage();
    await send(first, 10_000);
    const used = process.cpuUsage(before);
    figures.push(((used.user + used.system) * 1000) / 10_000);
  }
  figures.sort((a, b) => a - b);
  process.send(figures[2], () => process.exit(0));
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
