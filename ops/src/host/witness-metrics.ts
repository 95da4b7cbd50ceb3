/** The `millrace_witness_*` families, read when somebody scrapes. */
import type { Cosigning } from "@millrace/projections";
import { Gauge, type Registry } from "prom-client";

export function registerWitnessMetrics(registry: Registry, cosigning: Cosigning): void {
  new Gauge({
    name: "millrace_witness_lag_records",
    help: "Signed records that the witness has not cosigned yet.",
    labelNames: ["witness"],
    registers: [registry],
    collect() {
      for (const { name, lag } of cosigning.status()) this.set({ witness: name }, lag);
    },
  });
  new Gauge({
    name: "millrace_witness_failing",
    help: "1 while the witness does not cosign, by the code of the reason.",
    labelNames: ["witness", "code"],
    registers: [registry],
    collect() {
      this.reset();
      for (const { name, failure } of cosigning.status())
        this.set({ witness: name, code: failure?.code ?? "" }, failure === undefined ? 0 : 1);
    },
  });
}
