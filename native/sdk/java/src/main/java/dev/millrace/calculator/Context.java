package dev.millrace.calculator;

import java.io.IOException;

/** What a calculation may know beside its message. */
public final class Context {
  private final double at;
  private final String graph;
  private final String node;
  private final Payloads payloads;

  public Context(double at, String graph, String node) {
    this(at, graph, node, new Payloads(null));
  }

  Context(double at, String graph, String node, Payloads payloads) {
    this.at = at;
    this.graph = graph;
    this.node = node;
    this.payloads = payloads;
  }

  /** Time of the step in ms since 1970: the same again in a replay, unlike the machine's clock. */
  public double at() {
    return at;
  }

  public String graph() {
    return graph;
  }

  public String node() {
    return node;
  }

  /** Opens the payload that a field of the row is, in place. Use its bytes before the row's result is returned. */
  public Payload open(Object value) throws IOException {
    return payloads.open(value);
  }

  /** Bytes for a result, with their format: raw, msgpack, json, npy or arrow. A plain {@code byte[]} is raw. */
  public PayloadResult payload(byte[] bytes, String format) {
    return new PayloadResult(bytes, format);
  }
}
