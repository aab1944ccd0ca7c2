/** What was found, fit to be shown: one line, at most 200 characters, without secrets. */

const longest = 200
/** Shorter ones would take ordinary letters out of a text. */
const shortestSecret = 4

/** As it stands in the path of an address, where fewer characters are encoded than in a query. */
export const inPath = (secret: string): string => {
  const url = new URL("http://host/")
  url.pathname = secret
  return url.pathname.slice(1)
}

/** Takes the secrets out of a text, as they are, as they stand in an address, and in base64. */
export const scrub = (text: string, secrets: ReadonlyArray<string>): string => {
  let shown = text
  for (const secret of secrets) {
    if (secret.length < shortestSecret) continue
    const encoded = Buffer.from(secret).toString("base64")
    for (const form of [secret, encodeURIComponent(secret), inPath(secret), encoded.replace(/=+$/u, "")]) {
      shown = shown.replaceAll(form, "[secret]")
    }
  }
  return shown
}

const title = /<title[^>]*>([^<]*)<\/title>/iu

/** The beginning of a body as a sentence part that ends in a full stop. Of an HTML page its title. */
export const foundIn = (body: Uint8Array, secrets: ReadonlyArray<string>, from = 0): string => {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  // Enough to hold the title of a page, and a secret that the cut at 200 characters would divide.
  const text = scrub(bytes.toString("utf8", from, from + 8192), secrets)
  const line = text.replace(/[\p{C}\s]+/gu, " ").trim()
  if (line === "") return "an empty body."
  const heading = title.exec(line)?.[1]?.trim()
  const shown = heading === undefined || heading === "" ? line : `a page titled "${heading}"`
  return shown.length > longest ? `${shown.slice(0, longest)}…` : /[.!?]$/u.test(shown) ? shown : `${shown}.`
}

/**
 * An address without the values of its query, except of parameters that Tributary sets itself and of those only up to 40
 * characters. Other values may be secrets.
 */
export const shownUrl = (url: URL, own: ReadonlySet<string>): string => {
  const query: Array<string> = []
  for (const [name, value] of url.searchParams) {
    query.push(`${name}=${own.has(name) ? (value.length > 40 ? `${value.slice(0, 40)}…` : value) : "…"}`)
  }
  // As they are for a reader, but for what a terminal would obey.
  const shown = query.join("&").replaceAll(/\p{C}/gu, "\u{fffd}")
  return `${url.origin}${url.pathname}${shown === "" ? "" : `?${shown}`}`
}
