import { expect, it } from "vitest";
import type { Link } from "../actor/link.ts";
import type { Json } from "../frame/json.ts";
import type { GraphProgram } from "../runtime/program.ts";
import { sampleFrame } from "../testing/sample-frames.ts";
import { virtualEnv } from "../testing/virtual-env.ts";
import { edgeCarriers } from "./edge-carriers.ts";
import type { Transport } from "./transport.ts";

const EDGE = { from: "a", port: "out", to: "b", input: 0, feedback: false };
const LOCAL: Link = { hasCredit: () => true, whenCredit: () => undefined, send: () => undefined };

/** An edge over a transport that takes everything, what it was given, and which nodes were told that they cannot go on. */
function carried() {
  const published: string[] = [];
  const failed: unknown[] = [];
  const transport: Transport = {
    bodyBytesMax: 1 << 20,
    publish: async (subject) => void published.push(subject),
    subscribe: async () => ({ grant: () => undefined, close: async () => undefined }),
    close: async () => undefined,
  };
  const program = {
    graph: "g",
    revision: 1,
    codeVersion: "1",
    durability: "durable",
    nodes: [],
    edges: [{ from: "a", to: "b", via: "nats" }],
  } satisfies GraphProgram;
  const carriers = edgeCarriers(program, "nats", { transport, env: virtualEnv("edge"), scope: "s" });
  carriers.start?.((node, error) => failed.push([node, error]));
  return { link: carriers.link(EDGE, LOCAL, [0]), published, failed };
}

it("a message that no frame can say fails the node that sends it, and not the process", () => {
  const { link, published, failed } = carried();
  let deep: Json = 1;
  for (let i = 0; i < 50_000; i++) deep = [deep];
  link.send(sampleFrame(0, [deep]));
  expect(failed).toEqual([["a", expect.objectContaining({ code: "MSG-SIZE" })]]);
  link.send(sampleFrame(1, ["well"]));
  expect([published, link.hasCredit(0)]).toEqual([["s.g.a.out.b.r1.p0"], true]);
});
