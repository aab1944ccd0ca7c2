import { Metric } from "effect"

/** Requests to token endpoints; attributes `authorization` and `outcome` (`granted` or a failure class). */
export const tokenRequests = Metric.counter("oauth_token_requests_total", {
  description: "Requests to token endpoints, by authorization and outcome.",
  incremental: true
})
