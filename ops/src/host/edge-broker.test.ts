import { type GraphModel, type MillraceError, parseGraph, systemEnv } from "@millrace/engine";
import { describe, expect, it } from "vitest";
import { type EdgeBroker, openEdgeBroker, placedNodes, requireBroker } from "./edge-broker.ts";

const env = systemEnv();

function model(edges = ""): GraphModel {
  const text = `name: g
nodes:
  in:  { kind: source, from: "http:/in" }
  big: { kind: filter, input: in, where: "event.n > 1" }
  out: { kind: sink, input: big, to: "discard:" }
${edges}`;
  const parsed = parseGraph(text, { file: "g.yaml" });
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  return parsed.graph;
}

const VIA = 'edges: { "in -> big": { via: nats } }\n';

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (thrown) {
    const { code, message, place } = thrown as MillraceError;
    return `${place?.file ?? ""}:${place?.line ?? ""} ${code} ${message}`;
  }
  return "";
}

describe("the broker of edges", () => {
  // Opening does not connect, so no server is needed.
  const open = (address: string): Promise<EdgeBroker> => openEdgeBroker(address, env);

  it.each([
    ["redis://h:6379", "edges lead over NATS or Kafka; write --edges nats://host:4222 or kafka://host:9092"],
    ["h:4222", "edges lead over NATS or Kafka"],
    ["kafka://h/a/b", "the address of --edges names servers and an installation, kafka://host:9092/name"],
    ["kafka://h/a?tsl=true", "the address of --edges is wrong: unknown option `tsl`; did you mean `tls`?"],
    ["kafka://h?sasl=plain", "the address of --edges is wrong: option `sasl` needs a user"],
    ["nats:h", "the address of --edges is wrong: expected //host:port"],
    ["nats://h/a/b", "the address of --edges names servers and an installation"],
    ["nats://h/a.b", "the address of --edges names servers and an installation"],
    ["nats://h?x=1", "the address of --edges is wrong: unknown option `x`"],
    ["nats://h?tls=true&ca=/not/there.pem", "names authorities that cannot be read: ENOENT"],
    ["nats://h?ca=ca.pem", "the address of --edges is wrong: option `ca` needs `tls=true`"],
  ])("is not %s", async (address, message) => {
    await expect(open(address)).rejects.toMatchObject({
      code: "HOST-EDGES",
      message: expect.stringContaining(message),
    });
  });

  it.each([
    ["nats", "nats://a:1,b/prod"],
    ["kafka", "kafka://me:pw@a:1,b/prod?tls=true&sasl=scram-sha-256"],
  ] as const)("carries the edges over %s that say so, and none where there is none", async (via, address) => {
    const broker = await open(address);
    expect(broker.scope).toBe("prod");
    const program = { graph: "g", revision: 1, codeVersion: "", durability: "durable", nodes: [] } as const;
    const edge = { from: "in", to: "big" };
    expect(broker.carriers({ ...program, edges: [edge] }, { logId: "log", runsHere: undefined })).toBeUndefined();
    expect(
      broker.carriers({ ...program, edges: [{ ...edge, via }] }, { logId: "log", runsHere: undefined }),
    ).toBeDefined();
    await broker.close();
  });

  it("must be there for edges that lead over it", async () => {
    expect(refusal(() => requireBroker(model(), undefined))).toBe("");
    expect(refusal(() => requireBroker(model(VIA), undefined))).toMatch(
      /^g\.yaml:4 HOST-EDGES edge `in -> big` leads over nats; start with --edges/,
    );
    const broker = await open("nats://a");
    expect(refusal(() => requireBroker(model(VIA), broker))).toBe("");
    expect(refusal(() => requireBroker(model(VIA.replace("nats", "kafka")), broker))).toMatch(
      /leads over kafka; this host leads edges over nats; start it with --edges kafka:\/\/host:9092$/,
    );
    await broker.close();
  });

  it("carries what leads from one host to another, whatever the graph says", async () => {
    const broker = await open("kafka://a/prod");
    const program = {
      graph: "g",
      revision: 1,
      codeVersion: "",
      durability: "durable",
      nodes: [],
      edges: [
        { from: "in", to: "big" },
        { from: "big", to: "out" },
      ],
    } as const;
    const { edges } = broker.lead(program, placedNodes(model(), ["in", "big"], broker));
    expect(edges).toEqual([
      { from: "in", to: "big" },
      { from: "big", to: "out", via: "kafka" },
    ]);
    await broker.close();
  });

  it("joins hosts under one name", async () => {
    const [named, nameless] = [await open("nats://a/prod"), await open("nats://a")];
    const here = placedNodes(model(VIA), ["in"], named);
    expect(["in", "in~input", "big", "out", "inn"].map(here)).toEqual([true, true, false, false, false]);
    expect(refusal(() => placedNodes(model(VIA), ["in"], nameless))).toMatch(/need --edges with a name in it/);
    expect(refusal(() => placedNodes(model(VIA), ["in"], undefined))).toMatch(/need --edges with a name in it/);
    expect(refusal(() => placedNodes(model(VIA), ["inn"], named))).toMatch(/graph g has no node `inn` to run here/);
    await named.close();
    await nameless.close();
  });
});
