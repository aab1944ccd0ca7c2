import { Metric } from "effect"

// What docs/guides/token-operations.md lists. Times are seconds, as is the custom of Prometheus.

/** Requests to token endpoints; attributes `authorization` and `outcome` (`granted` or a failure class). */
export const tokenRequests = Metric.counter("oauth_token_requests_total", {
  description: "Requests to token endpoints, by authorization and outcome.",
  incremental: true
})
export const tokenRequestSeconds = Metric.histogram("oauth_token_request_duration_seconds", {
  description: "Time from the sending of a token request to its answer, by authorization.",
  boundaries: [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20]
})
export const tokenFailures = Metric.counter("oauth_token_failures_total", {
  description: "Attempts that ended without a token, by authorization and failure class.",
  incremental: true
})
export const tokenRejections = Metric.counter("oauth_token_rejections_total", {
  description: "Tokens that an API answered 401 to, by authorization.",
  incremental: true
})
export const tokenFailuresInARow = Metric.gauge("oauth_token_failures_in_a_row", {
  description: "Attempts since the last token, by authorization."
})
export const tokenObtainedAt = Metric.gauge("oauth_token_obtained_timestamp_seconds", {
  description: "When the current access token was asked for, seconds since 1970, by authorization."
})
export const tokenExpiresAt = Metric.gauge("oauth_token_expires_timestamp_seconds", {
  description: "When the current access token ends, seconds since 1970, by authorization; no series where nobody knows."
})
export const tokenReconnectBy = Metric.gauge("oauth_reconnect_by_timestamp_seconds", {
  description: "When the refresh token ends, seconds since 1970, by authorization; no series where nobody knows."
})
export const authorizationUsedBy = Metric.gauge("oauth_authorization_connector", {
  description: "1 while the connector uses the authorization in this process."
})
