const longest = 300
const uuid = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i

/** A run of characters that could be a token: long, of the token alphabet, and neither a word nor an identifier of a log. */
const looksLikeToken = (run: string) =>
  /\d/.test(run) && /[A-Za-z]/.test(run) && !uuid.test(run) && !/^https?:/.test(run)

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")

/**
 * A secret as it may stand in a text: each character as it is or percent-encoded. Which characters are encoded differs: RFC 6749
 * (appendix B) asks for more than addresses do, and for `+` in place of a space.
 */
const spelled = (secret: string): RegExp => {
  const characters = [...secret].map((character) => {
    const bytes = [...Buffer.from(character)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("")
    return `(?:${escaped(character)}|${bytes}${character === " " ? "|\\+" : ""})`
  })
  return new RegExp(characters.join(""), "giu")
}

/**
 * What a server said, fit to be shown: one line of bounded length, without the given secrets in any spelling that a
 * server may echo, and without anything else that looks like a token.
 */
export const clean = (text: string, secrets: ReadonlyArray<string>): string => {
  let shown = text
  for (const secret of secrets) {
    if (secret === "") continue
    shown = shown
      .replace(spelled(secret), "[secret]")
      .replaceAll(Buffer.from(secret).toString("base64").replace(/=+$/, ""), "[secret]")
  }
  shown = shown
    .replace(/[\p{C}\s]+/gu, " ")
    .replace(/[A-Za-z0-9._~+/=:-]{24,}/g, (run) => (looksLikeToken(run) ? "[removed]" : run))
    .trim()
  return shown.length > longest ? `${shown.slice(0, longest)}…` : shown
}
