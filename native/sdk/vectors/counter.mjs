// The calculator of conversations.json.
let base = 0;
let total = 0;

async function opened(value, open) {
  const { bytes, format } = await open(value);
  return { format, length: bytes.length, sum: bytes.reduce((sum, byte) => sum + byte, 0) };
}

export default {
  init(config) {
    base = config.base;
    total = base;
  },
  calculate(row, { at, graph, node, open, payload }) {
    switch (row.do) {
      case "add":
        total += row.n;
        return { total };
      case "drop":
        return undefined;
      case "many":
        return Array.from({ length: row.n }, (_, i) => i);
      case "fill":
        return "x".repeat(row.n);
      case "where":
        return { at, graph, node };
      case "open":
        return opened(row.payload, open);
      case "make":
        return { made: payload(new TextEncoder().encode(row.text), "npy") };
      default:
        total = -1;
        throw new Error("asked to fail");
    }
  },
  details: () => ({ what: "a counter" }),
  snapshot: () => ({ total }),
  restore(state) {
    total = state === null ? base : state.total;
  },
};
