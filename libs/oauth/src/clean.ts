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
const spelled = (secret: string, flags: "giu" | "iuy" = "giu"): RegExp => {
  const characters = [...secret].map((character) => {
    const bytes = [...Buffer.from(character)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("")
    return `(?:${escaped(character)}|${bytes}${character === " " ? "|\\+" : ""})`
  })
  return new RegExp(characters.join(""), flags)
}

/** A pattern of more characters than a few thousand cannot be made, and tokens may have more. */
const longestPiece = 256

/** A secret in parts of about the same length, so that none is so short that it stands in any text. */
const piecesOf = (secret: string): ReadonlyArray<string> => {
  const characters = [...secret]
  const size = Math.ceil(characters.length / Math.ceil(characters.length / longestPiece))
  return Array.from({ length: Math.ceil(characters.length / size) }, (_, index) =>
    characters.slice(index * size, (index + 1) * size).join("")
  )
}

/** A text without the secret that these pieces are in their order. */
const withoutWhole = (text: string, pieces: ReadonlyArray<string>): string => {
  const [begin = "", ...others] = pieces
  const first = spelled(begin)
  const rest = others.map((piece) => spelled(piece, "iuy"))
  let shown = ""
  let from = 0
  for (let found = first.exec(text); found !== null; found = first.exec(text)) {
    let end = first.lastIndex
    const isWhole = rest.every((pattern) => {
      pattern.lastIndex = end
      const goesOn = pattern.test(text)
      end = pattern.lastIndex
      return goesOn
    })
    if (isWhole) {
      shown += `${text.slice(from, found.index)}[secret]`
      from = end
    }
    first.lastIndex = isWhole ? end : found.index + 1
  }
  return shown + text.slice(from)
}

/**
 * What a server said, fit to be shown: one line of bounded length, without the given secrets in any spelling that a
 * server may echo, and without anything else that looks like a token.
 */
export const clean = (text: string, secrets: ReadonlyArray<string>): string => {
  let shown = text
  for (const secret of secrets) {
    if (secret === "") continue
    const pieces = piecesOf(secret)
    shown = withoutWhole(shown, pieces)
    // Of a long secret a server may echo a part.
    if (pieces.length > 1) for (const piece of pieces) shown = shown.replace(spelled(piece), "[secret]")
    shown = shown
      .replaceAll(/(\[secret\]){2,}/gu, "[secret]")
      .replaceAll(Buffer.from(secret).toString("base64").replace(/=+$/, ""), "[secret]")
  }
  shown = shown
    .replace(/[\p{C}\s]+/gu, " ")
    .replace(/[A-Za-z0-9._~+/=:-]{24,}/g, (run) => (looksLikeToken(run) ? "[removed]" : run))
    .trim()
  return shown.length > longest ? `${shown.slice(0, longest)}…` : shown
}
