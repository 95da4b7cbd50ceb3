// The calculator of conversations.json.
let base = 0;
let total = 0;

export default {
  init(config) {
    base = config.base;
    total = base;
  },
  calculate(row, { at, graph, node }) {
    switch (row.do) {
      case "add":
        total += row.n;
        return { total };
      case "drop":
        return undefined;
      case "many":
        return Array.from({ length: row.n }, (_, i) => i);
      case "where":
        return { at, graph, node };
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
