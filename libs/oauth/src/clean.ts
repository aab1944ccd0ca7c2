const longest = 300
const uuid = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i

/** A run of characters that could be a token: long, of the token alphabet, and neither a word nor an identifier of a log. */
const looksLikeToken = (run: string) =>
  /\d/.test(run) && /[A-Za-z]/.test(run) && !uuid.test(run) && !/^https?:/.test(run)

/**
 * What a server said, fit to be shown: one line of bounded length, without the given secrets in any spelling that a
 * server may echo, and without anything else that looks like a token.
 */
export const clean = (text: string, secrets: ReadonlyArray<string>): string => {
  let shown = text
  for (const secret of secrets) {
    if (secret === "") continue
    const spellings = [
      secret,
      encodeURIComponent(secret),
      new URLSearchParams({ s: secret }).toString().slice(2),
      Buffer.from(secret).toString("base64").replace(/=+$/, "")
    ]
    for (const spelling of spellings) shown = shown.replaceAll(spelling, "[secret]")
  }
  shown = shown
    .replace(/[\p{C}\s]+/gu, " ")
    .replace(/[A-Za-z0-9._~+/=:-]{24,}/g, (run) => (looksLikeToken(run) ? "[removed]" : run))
    .trim()
  return shown.length > longest ? `${shown.slice(0, longest)}…` : shown
}
