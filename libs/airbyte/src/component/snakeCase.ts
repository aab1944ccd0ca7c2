const tokenPattern = /[A-Z]+[a-z]*|[a-z]+|\d+|[^a-zA-Z\d]+/g

/** Letters with marks as the plain ones; what has no plain letter (Cyrillic, Han …) is left as it is. */
const plain = (text: string): string => text.normalize("NFKD").replace(/\p{M}/gu, "")

/** A name in snake case, as the CDK's KeysToSnakeCase writes it. */
export const snakeCase = (key: string): string => {
  const found = plain(key).match(tokenPattern) ?? []
  let tokens = found.map((token) => (/[a-zA-Z\d]/.test(token) ? token : ""))
  if (tokens.length >= 3) {
    tokens = [...tokens.slice(0, 1), ...tokens.slice(1, -1).filter((token) => token !== ""), ...tokens.slice(-1)]
  }
  if (/^\d+$/.test(tokens[0] ?? "")) tokens.unshift("")
  return tokens.map((token) => token.toLowerCase()).join("_")
}
