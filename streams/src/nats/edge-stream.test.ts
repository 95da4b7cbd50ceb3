import { type VirtualEnv, virtualEnv } from "@millrace/engine/testing";
import type { NatsConnection } from "nats";
import { beforeEach, describe, expect, test } from "vitest";
import type { Connection } from "../resilience/connection.ts";
import { EdgePublisher } from "./edge-publisher.ts";
import { EdgeStream, takeOver } from "./edge-stream.ts";

const NO_FOLDER = 'error opening msg block file ["1.blk"]: open 1.blk: no such file or directory';

/** A server with one stream, or none. */
class Server {
  /** When the stream was made. */
  created: string | undefined;
  /** What keeps messages out of the stream, by when it was made; empty: nobody takes them. */
  readonly faults = new Map<string | undefined, string>();
  /** What consumers that are made have delivered by then. */
  readonly delivered: number[] = [];
  readonly calls: string[] = [];
  /** What happens once it has refused a message. */
  afterRefusal: () => void = () => undefined;
  #count = 0;

  get connection(): NatsConnection {
    return {
      jetstreamManager: async () => ({
        streams: {
          info: async () => ({ created: this.created ?? refuse(404, 10_059, "stream not found") }),
          add: async () => this.#add(),
          delete: async () => this.#delete(),
        },
        consumers: {
          delete: async () => this.calls.push("delete consumer"),
          add: async () => {
            this.calls.push("add consumer");
            return { delivered: { consumer_seq: this.delivered.shift() ?? 0 } };
          },
        },
      }),
      jetstream: () => ({ publish: async (_: string, bytes: Uint8Array) => this.#take(Buffer.from(bytes).toString()) }),
    } as unknown as NatsConnection;
  }

  #add(): { readonly created: string } {
    this.created ??= `stream ${++this.#count}`;
    this.calls.push(`add ${this.created}`);
    return { created: this.created };
  }

  #delete(): void {
    this.calls.push(`delete ${this.created}`);
    this.created = undefined;
  }

  #take(text: string): void {
    if (this.created === undefined) throw Object.assign(new Error("503"), { code: "503" });
    const fault = this.faults.get(this.created);
    if (fault !== undefined) {
      this.afterRefusal();
      refuse(503, 10_077, fault);
    }
    this.calls.push(`${text} in ${this.created}`);
  }
}

function refuse(code: number, err_code: number, description: string): never {
  throw Object.assign(new Error(description), { api_error: { code, err_code, description } });
}

describe("the stream of edges", () => {
  let env: VirtualEnv;
  let server: Server;
  let nc: NatsConnection;
  let stream: EdgeStream;
  const { signal } = new AbortController();

  beforeEach(() => {
    env = virtualEnv(1);
    server = new Server();
    nc = server.connection;
    stream = new EdgeStream({ env, name: "E", prefix: "e", capacity: 2 });
  });

  const publisher = (): EdgePublisher => {
    const connection = {
      keep: async () => nc,
      suspect: async () => undefined,
    } as unknown as Connection<NatsConnection>;
    return new EdgePublisher({ env, connection, stream, subject: "e.s", closed: signal });
  };

  test("is made at once where there was none, and made anew only when its server is done with deleting it", async () => {
    expect(await stream.ensure(nc, signal)).toBe("stream 1");
    server.created = undefined;
    const again = stream.ensure(nc, signal);
    await env.advance(1900);
    expect(server.calls).toEqual(["add stream 1"]);
    expect(await env.until(again)).toBe("stream 2");
  });

  test("is known to who has only sent to it", async () => {
    server.created = "another's";
    const sender = publisher();
    await env.until(sender.publish(Buffer.from("a"), "a"));
    server.created = undefined;
    const sent = sender.publish(Buffer.from("b"), "b");
    await env.advance(1900);
    expect(server.calls).toEqual(["a in another's"]);
    await env.until(sent);
    expect(server.calls.slice(1)).toEqual(["add stream 1", "b in stream 1"]);
  });

  test("is not made where somebody else made it meanwhile, nor for whoever is gone", async () => {
    await stream.ensure(nc, signal);
    server.created = undefined;
    const again = stream.ensure(nc, signal);
    await env.advance(1900);
    server.created = "another's";
    expect(await env.until(again)).toBe("another's");
    server.created = undefined;
    const gone = new AbortController();
    const unwanted = stream.ensure(nc, gone.signal);
    await env.settle();
    gone.abort(new Error("closed"));
    await expect(unwanted).rejects.toThrow("closed");
    expect(server.calls).toEqual(["add stream 1"]);
  });

  test("is made anew where its folder is gone", async () => {
    server.created = "folderless";
    server.faults.set("folderless", NO_FOLDER);
    const sent = ["a", "b"].map((text) => publisher().publish(Buffer.from(text), text));
    await env.until(Promise.all(sent));
    expect(server.calls.slice(0, 2)).toEqual(["delete folderless", "add stream 1"]);
    expect(server.calls.slice(2).sort()).toEqual(["a in stream 1", "b in stream 1"]);
  });

  test("is replaced once, though several find at the same time that it must be", async () => {
    server.created = "folderless";
    await Promise.all([stream.replace(nc, "folderless"), stream.replace(nc, "folderless")]);
    expect(server.calls).toEqual(["delete folderless", "add stream 1"]);
  });

  test("is not deleted for what a server said of the one before", async () => {
    server.created = "folderless";
    server.faults.set("folderless", NO_FOLDER);
    server.afterRefusal = () => {
      server.created = "whole";
    };
    await env.until(publisher().publish(Buffer.from("a"), "a"));
    expect(server.calls).toEqual(["a in whole"]);
  });

  test("is left as it is when it keeps nothing for another reason, which is shown unless it is a full subject", async () => {
    server.created = "E";
    const sender = publisher();
    server.faults.set("E", "maximum messages per subject exceeded");
    const sent = sender.publish(Buffer.from("a"), "a");
    await env.advance(1000);
    expect(sender.refusal).toBe("");
    server.faults.set("E", "write 1.blk: no space left on device");
    await env.advance(1000);
    expect(sender.refusal).toBe("e.s: write 1.blk: no space left on device");
    server.faults.clear();
    await env.until(sent);
    expect(server.calls).toEqual(["a in E"]);
  });

  test("has its consumers made again that begin where those of a deleted stream ended", async () => {
    server.delivered.push(5);
    await takeOver(nc, stream, "e.s", "me");
    expect(server.calls).toEqual(["delete consumer", "add consumer", "delete consumer", "add consumer"]);
  });

  test("has no consumer that never begins at its beginning, and says so", async () => {
    server.delivered.push(...new Array<number>(100).fill(5));
    await expect(takeOver(nc, stream, "e.s", "me")).rejects.toThrow("begins behind 5 messages");
    expect(server.calls.length).toBeLessThan(20);
  });
});
