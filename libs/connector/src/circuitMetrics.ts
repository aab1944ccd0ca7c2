import { Metric } from "effect"

// What docs/guides/operating.md lists.

export const circuitOpen = Metric.gauge("source_circuit_open", {
  description: "1 while nothing is asked of a host because it failed too often, by host."
})
export const circuitOpenings = Metric.counter("source_circuit_openings_total", {
  description: "How often requests to a host were stopped because it failed too often, by host.",
  incremental: true
})
