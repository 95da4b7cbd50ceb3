/**
 * What one hop costs: a message goes through a step that makes a new object of it, and on to the next. Supervised, bounded
 * actors against RxJS, bare calls, and the runtimes that a team would use instead. Peers that are not installed are named.
 */
import { fork } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import {
  ActorMeter,
  EdgeMeter,
  Frame,
  fuse,
  LocalLink,
  Mailbox,
  Positions,
  PureActor,
  pureResult,
  RowBatch,
  rxBehavior,
  rxEach,
  Scheduler,
  START,
  systemEnv,
  Turnable,
  wholly,
} from "@millrace/engine";
import * as Rx from "rxjs";
import { measureApart, ratio, table } from "./measure.mjs";

const FRAME = 256;
const MESSAGES = Array.from({ length: 1024 }, (_, i) => ({ v: i, k: `k${i & 63}` }));
const increment = (m) => ({ v: m.v + 1, k: m.k });
/** Six functions with the same body and their own feedback, as six nodes of a graph have. */
const increments = Array.from({ length: 6 }, () => new Function("m", "return { v: m.v + 1, k: m.k }"));

const expect = (got, n) => {
  if (got !== n) throw new Error(`${got} of ${n} messages arrived`);
};

const mapping = (fn) => ({
  kind: "pure",
  ports: ["out"],
  row: fn,
  transform(batch) {
    const rows = batch.rows();
    const out = new Array(rows.length);
    for (let i = 0; i < rows.length; i++) out[i] = fn(rows[i]);
    return pureResult(new RowBatch(out));
  },
});

/** Takes frames as they come, counts them, and gives credit back. */
class Counter extends Turnable {
  count = 0;
  constructor(scheduler, n, done) {
    super();
    this.mailbox = new Mailbox({ capacity: FRAME * 4 }, () => scheduler.ready(this));
    this.n = n;
    this.done = done;
  }
  turn(now) {
    for (let frame = this.mailbox.take(); frame !== undefined; frame = this.mailbox.take()) this.count += frame.n;
    if (this.count >= this.n) this.done();
    return now;
  }
}

/** `behaviors` as a chain of supervised actors with bounded mailboxes, fed as fast as credit allows. */
const actors = (behaviors) => async (n) => {
  const scheduler = new Scheduler(systemEnv());
  const finished = Promise.withResolvers?.() ?? withResolvers();
  const sink = new Counter(scheduler, n, finished.resolve);
  let mailbox = sink.mailbox;
  for (let i = behaviors.length - 1; i >= 0; i--) {
    const edge = { name: `${i}`, link: new LocalLink(mailbox), nextPath: new Map([[0, 0]]), meter: new EdgeMeter() };
    let actor;
    const own = new Mailbox({ capacity: FRAME * 4 }, () => actor.wake());
    actor = new PureActor({
      node: `${i}`,
      revision: 1,
      behavior: behaviors[i],
      scheduler,
      mailbox: own,
      meter: new ActorMeter(),
      edges: [[edge]],
      failed: finished.reject,
    });
    mailbox = own;
  }
  await feed(mailbox, n);
  await finished.promise;
  expect(sink.count, n);
};

async function feed(mailbox, n) {
  let from = START;
  for (let i = 0; i < n; ) {
    const k = Math.min(FRAME, n - i);
    const rows = new Array(k);
    for (let j = 0; j < k; j++) rows[j] = MESSAGES[(i + j) & 1023];
    const to = wholly(i + k - 1);
    const head = {
      path: 0,
      generation: 0,
      epoch: 0,
      revision: 1,
      from,
      to,
      watermark: i,
      exact: true,
      idle: false,
      mark: null,
      shed: 0,
      trace: null,
      bornMs: 0,
    };
    mailbox.push(new Frame(head, new RowBatch(rows), Positions.dense(i, k)));
    from = to;
    i += k;
    if (!mailbox.hasCredit(0)) await new Promise((wake) => mailbox.whenCredit(0, wake));
  }
}

function withResolvers() {
  const w = {};
  w.promise = new Promise((resolve, reject) => Object.assign(w, { resolve, reject }));
  return w;
}

const N = 1_000_000;

const own = [
  {
    name: "six different functions, bare calls",
    n: 2 * N,
    run(n) {
      let c = 0;
      for (let i = 0; i < n; i++) {
        let m = MESSAGES[i & 1023];
        for (let j = 0; j < 6; j++) m = increments[j](m);
        if (m) c++;
      }
      expect(c, n);
    },
  },
  {
    name: "Subject.pipe(map)",
    n: 4 * N,
    run(n) {
      let c = 0;
      const subject = new Rx.Subject();
      subject.pipe(Rx.map(increment)).subscribe(() => c++);
      for (let i = 0; i < n; i++) subject.next(MESSAGES[i & 1023]);
      expect(c, n);
    },
  },
  {
    name: "six chained Subjects",
    n: N,
    run(n) {
      let c = 0;
      const subjects = Array.from({ length: 7 }, () => new Rx.Subject());
      for (let j = 0; j < 6; j++) subjects[j].pipe(Rx.map(increments[j])).subscribe(subjects[j + 1]);
      subjects[6].subscribe(() => c++);
      for (let i = 0; i < n; i++) subjects[0].next(MESSAGES[i & 1023]);
      expect(c, n);
    },
  },
  { name: "one supervised actor", n: 4 * N, run: actors([mapping(increment)]) },
  { name: "six supervised actors", n: N, run: actors(increments.map(mapping)) },
  {
    name: "six actors fused by the planner",
    n: 2 * N,
    run: (n) =>
      actors([
        fuse(
          increments.map((fn, i) => ({
            node: `${i}`,
            behavior: mapping(fn),
            meter: new ActorMeter(),
            edge: new EdgeMeter(),
          })),
        ),
      ])(n),
  },
];

/** The same six nodes as RxJS pipes: what crosses RxJS is a frame, or each message of it. */
const piped = [
  {
    name: "six actors, RxJS over frames",
    n: N,
    run: (n) =>
      actors(
        increments.map((fn) =>
          rxBehavior((frames) => frames.pipe(Rx.map((all) => all.map((message) => message.map(fn(message.value)))))),
        ),
      )(n),
  },
  {
    name: "six actors, RxJS over messages",
    n: N,
    run: (n) =>
      actors(increments.map((fn) => rxEach((each) => each.pipe(Rx.map((message) => message.map(fn(message.value)))))))(
        n,
      ),
  },
];

/** Peers live in a package of their own, installed by the bench that needs them, and are loaded only where they run. */
function peerRequire() {
  return createRequire(new URL("./peers/package.json", import.meta.url));
}

const load = async (name) => import(pathToFileURL(peerRequire().resolve(name)).href);

const peers = [
  {
    name: "effect: six chunked Stream.map",
    n: N,
    async run(n) {
      const { Effect, Stream } = await load("effect");
      let stream = Stream.range(1, n).pipe(Stream.map((v) => ({ v, k: "k" })));
      for (const fn of increments) stream = Stream.map(stream, fn);
      await Effect.runPromise(Stream.runDrain(stream));
    },
  },
  {
    name: "nact: one actor",
    n: N / 10,
    async run(n) {
      const nact = await load("nact");
      const { start, spawn, dispatch, stop } = nact.start ? nact : nact.default;
      await new Promise((resolve) => {
        const system = start();
        let received = 0;
        let sent = 0;
        const more = () => {
          const until = Math.min(n, sent + 1024);
          while (sent < until) dispatch(worker, MESSAGES[sent++ & 1023]);
        };
        const count = () => {
          if (++received === n) {
            stop(system);
            resolve();
          } else if (received === sent) more();
        };
        const sink = spawn(system, count, "sink");
        const worker = spawn(system, (_state, m) => void dispatch(sink, increment(m)), "worker");
        more();
      });
    },
  },
];

/** Every variant, for a process that runs just one of them. */
export function variants() {
  return [...own, ...piped, ...peers];
}

/** Node-RED brings globals of its own, so it is measured in a process of its own; CPU ns per message of five function nodes. */
function nodeRed() {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL("./node-red.peer.cjs", import.meta.url)), {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    child.on("message", (ns) => resolve(ns));
    child.on("exit", (code) => reject(new Error(`Node-RED ended with ${code}`)));
  });
}

/** @param {{ repeats?: number }} options */
export async function main({ repeats = 5 } = {}) {
  const figures = await measureApart(
    import.meta.url,
    variants().map((v) => v.name),
    { repeats },
  );
  const ns = await nodeRed();
  figures.set("Node-RED: five function nodes", { ns, min: ns, max: ns, wallNs: ns });
  process.stdout.write(`${table("hop", figures, "Subject.pipe(map)")}\n`);
  const six = "six supervised actors";
  return {
    ratios: {
      subjectMap: ratio(figures, "one supervised actor", "Subject.pipe(map)"),
      sixSubjects: ratio(figures, six, "six chained Subjects"),
      directCalls: ratio(figures, six, "six different functions, bare calls"),
      fused: ratio(figures, "six actors fused by the planner", "six different functions, bare calls"),
      effect: ratio(figures, six, "effect: six chunked Stream.map"),
      nact: ratio(figures, "one supervised actor", "nact: one actor"),
      nodeRed: ratio(figures, six, "Node-RED: five function nodes"),
    },
    /** How much longer a message takes where nodes are RxJS pipes instead of functions. */
    rxjsCost: {
      frames: ratio(figures, six, "six actors, RxJS over frames"),
      messages: ratio(figures, six, "six actors, RxJS over messages"),
    },
    messagesPerSecond: Object.fromEntries([...figures].map(([name, { ns }]) => [name, Math.round(1e9 / ns)])),
  };
}
