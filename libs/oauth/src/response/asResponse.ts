import type { WireResponse } from "./Answer.ts"

/** Statuses that have no body (RFC 9110, section 6.4.1), whatever the server sent with them. */
const bodiless = new Set([204, 205, 304])

/** An answer as oauth4webapi takes it; its status is one below 500. */
export const asResponse = ({ body, headers, status }: WireResponse): Response =>
  new Response(body === "" || bodiless.has(status) ? null : body, {
    status,
    headers: { "content-type": headers["content-type"] ?? "application/json" }
  })
