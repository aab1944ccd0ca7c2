import { defineConnector, defineStream, jsonExtractor, type ModuleConnector, requesterOf } from "@tributary/connector"

/** A connector in code whose key is in its config. */
export const connector: ModuleConnector = ({ key, url }) =>
  defineConnector({
    streams: {
      items: defineStream({
        requester: requesterOf({ url: String(url), headers: { "x-key": String(key) }, secrets: [String(key)] }),
        extractor: jsonExtractor("$[*]")
      })
    }
  })
