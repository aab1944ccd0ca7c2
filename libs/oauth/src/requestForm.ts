import { Redacted } from "effect"
import type { Settings } from "./Settings.ts"
import type { WireRequest } from "./TokenTransport.ts"

/**
 * A token request as the provider wants it: RFC 6749 prescribes a form, with the client's id in `client_id`; some providers take
 * JSON or the query instead, or have another name for the id.
 */
export const inProvidersForm = (
  { body: form, clientIdParam }: Pick<Settings, "body" | "clientIdParam">,
  wire: WireRequest
): WireRequest => {
  if (form === "form" && clientIdParam === "client_id") return wire
  const { body = "", headers } = Redacted.value(wire.contents)
  const named = [...new URLSearchParams(body)].map(
    ([name, value]) => [name === "client_id" ? clientIdParam : name, value] as const
  )
  const { "content-type": type = "", ...rest } = headers
  switch (form) {
    case "form":
      return {
        ...wire,
        contents: Redacted.make({ headers, body: new URLSearchParams(named.map(([...pair]) => pair)).toString() })
      }
    case "json":
      return {
        ...wire,
        contents: Redacted.make({
          headers: { ...rest, "content-type": "application/json" },
          body: JSON.stringify(Object.fromEntries(named))
        })
      }
    case "query": {
      const url = new URL(wire.url)
      for (const [name, value] of named) url.searchParams.append(name, value)
      // The body stays, empty: the journal's permission to send is asked when it is about to be sent.
      return {
        ...wire,
        url: url.href,
        contents: Redacted.make({ headers: { ...rest, "content-type": type }, body: "" })
      }
    }
  }
}
