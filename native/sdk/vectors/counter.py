"""The calculator of conversations.json."""

from millrace import Calculator


class Counter(Calculator):
    def init(self, config):
        self.total = config["base"]

    def calculate(self, row, context):
        match row["do"]:
            case "add":
                self.total += row["n"]
                return {"total": self.total}
            case "drop":
                return None
            case "many":
                return list(range(row["n"]))
            case "fill":
                return "x" * row["n"]
            case "where":
                return {"at": context.at, "graph": context.graph, "node": context.node}
            case "open":
                payload = context.open(row["payload"])
                return {"format": payload.format, "length": len(payload.bytes), "sum": sum(payload.bytes)}
            case "make":
                return {"made": context.payload(row["text"].encode(), "npy")}
            case "fail":
                self.total = -1
                raise ValueError("asked to fail")

    def details(self):
        return {"what": "a counter"}

    def snapshot(self):
        return {"total": self.total}

    def restore(self, state):
        self.total = state["total"]
