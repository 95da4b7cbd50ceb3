/**
 * A node of a cluster as its clients see it. All nodes hand their calls to one endpoint; one of them leads, and the others say
 * which. What a node has passed on may be answered late, by another leader's address, or not at all.
 */
import { once } from "node:events";
import {
  type ClientHttp2Session,
  connect,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { freePort } from "../../services/free-port.ts";

const GRPC = { ":status": 200, "content-type": "application/grpc+proto" };
const NOT_FOUND = "5";
const LOOPBACK = "127.0.0.1";

export class ClusterNode {
  /** Waited for before each answer to an append goes out. */
  beforeAnswer: () => unknown = () => undefined;
  port = 0;
  /** Calls that were answered in part before another node took the lead. */
  callsCut = 0;
  readonly #endpoint: ClientHttp2Session;
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();
  #leader: ClusterNode | undefined;
  /** Calls that only a leader may answer. */
  readonly #led = new Set<ServerHttp2Stream>();
  /** What they end with that were under way as another node took the lead. */
  readonly #redirected = new Map<ServerHttp2Stream, OutgoingHttpHeaders>();

  static async open(endpoint: string, leader?: ClusterNode): Promise<ClusterNode> {
    const node = new ClusterNode(endpoint, leader);
    await node.listen();
    return node;
  }

  private constructor(endpoint: string, leader: ClusterNode | undefined) {
    this.#leader = leader;
    this.#endpoint = connect(`http://${endpoint}`);
    this.#server = createServer();
    this.#server.on("session", (session) => {
      this.#sessions.add(session);
      session.on("close", () => this.#sessions.delete(session));
    });
    this.#server.on("stream", (stream, headers) => this.#take(stream, headers));
  }

  get leads(): boolean {
    return this.#leader === undefined;
  }

  get address(): string {
    return `${LOOPBACK}:${this.port}`;
  }

  /** At the port that it had before, if it had one. */
  async listen(): Promise<void> {
    // Nobody is given it while no node listens there.
    if (this.port === 0) this.port = await freePort();
    this.#server.listen(this.port, LOOPBACK);
    await once(this.#server, "listening");
  }

  /** Another node leads from now on; calls under way hear of it in place of their answers. */
  yieldTo(leader: ClusterNode): void {
    leader.#leader = undefined;
    this.#leader = leader;
    for (const stream of this.#led) this.#redirect(stream);
  }

  /** Nobody listens here any more, and no connection is left. */
  async cut(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const session of this.#sessions) session.destroy();
    await closed;
  }

  async close(): Promise<void> {
    if (this.#server.listening) await this.cut();
    this.#endpoint.destroy();
  }

  #take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on("error", () => undefined);
    if (headers["requires-leader"] === "true") {
      this.#led.add(stream);
      stream.on("close", () => this.#led.delete(stream));
    }
    if (this.#leader !== undefined && this.#led.has(stream)) this.#redirect(stream);
    else this.#passOn(stream, headers);
  }

  #passOn(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const isAppend = String(headers[":path"]).endsWith("Append");
    const call = this.#endpoint.request(headers);
    let trailers: OutgoingHttpHeaders = {};
    call.on("error", () => stream.destroy());
    stream.pipe(call);
    stream.on("close", () => call.close());
    call.on("response", (answer, flags) => {
      if (stream.headersSent || stream.destroyed) return;
      // Without a body: the trailers are in the headers.
      const isWhole = (flags & 1) === 1;
      stream.respond(answer, isWhole ? { endStream: true } : { waitForTrailers: true });
    });
    call.on("trailers", (got) => {
      trailers = got;
    });
    stream.on("wantTrailers", () => stream.sendTrailers(this.#redirected.get(stream) ?? trailers));
    let sent: Promise<unknown> = Promise.resolve();
    call.on("data", (bytes: Buffer) => {
      sent = sent.then(async () => {
        if (isAppend) await this.beforeAnswer();
        if (stream.writable && !this.#redirected.has(stream)) stream.write(bytes);
      });
    });
    call.on("end", () => {
      void sent.then(() => stream.end());
    });
  }

  #redirect(stream: ServerHttp2Stream): void {
    const status = {
      "grpc-status": NOT_FOUND,
      "grpc-message": "Leader info available",
      exception: "not-leader",
      "leader-endpoint-host": LOOPBACK,
      "leader-endpoint-port": String(this.#leader?.port),
    };
    if (stream.headersSent) {
      this.#redirected.set(stream, status);
      this.callsCut++;
      stream.end();
    } else {
      stream.respond({ ...GRPC, ...status }, { endStream: true });
    }
  }
}
