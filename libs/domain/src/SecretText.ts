import { referencesIn } from "./Reference.ts"

const secretName =
  /authori[sz]ation|cookie|token|secret|passw(or)?d|passphrase|api[-_]?key|access[-_]?key|private[-_]?key|credential|salt/iu
/** Settings whose names only sound secret. */
const harmless = /^(token_url|refresh_token_url|token_request|token_exchange|(subject|actor|requested)_token_type)$/iu

/** Whether a header, a parameter or a key of this name holds a secret, as far as its name tells. */
export const isSecretName = (name: string): boolean => secretName.test(name) && !harmless.test(name)

/** Whether a text is free of secrets: empty, or with at least one reference in it. */
export const isReferenced = (text: string): boolean => text.trim() === "" || referencesIn(text).length > 0

const visibleSecrets: ReadonlyArray<RegExp> = [
  // user and password of an address
  /(?<=\/\/)[^\s/@?#"']+(?=@)/gu,
  // secrets in the query of an address
  /(?<=[?&][^=&\s]*(?:token|secret|passw(?:or)?d|key|signature|credential)[^=&\s]*=)[^&\s"']+/giu,
  /(?<=\b(?:bearer|basic|digest)\s+)[\w.~+/=-]{6,}/giu,
  // JSON web tokens, and keys that carry their vendor's prefix
  /\beyJ[\w-]{6,}(?:\.[\w-]+)*/gu,
  /\b(?:sk|pk|rk|ghp|gho|ghs|xox[abp]|AKIA|glpat)[-_]?[A-Za-z0-9_-]{12,}/gu,
  /-----BEGIN [^-]*-----.*/gu
]

/** Replaces what looks like a secret in a text that is shown; the length stays, references stay. */
export const hideSecrets = (text: string): string => {
  let shown = text
  for (const pattern of visibleSecrets) {
    shown = shown.replaceAll(pattern, (secret) =>
      referencesIn(secret).length > 0 ? secret : "*".repeat(secret.length)
    )
  }
  return shown
}

/** Whether an address carries a user or a password in the open. */
export const hasCredentials = (text: string): boolean => {
  const user = /^[a-z][a-z0-9+.-]*:\/\/([^\s/@?#]+)@/iu.exec(text)?.[1]
  return user !== undefined && !isReferenced(user.slice(user.indexOf(":") + 1))
}

/** A part of the file: offsets of its first character and of the one after its last. */
export type Range = readonly [start: number, end: number]

/**
 * The parts of a text that may be secret, found by lines alone: what follows a key with a secret name, up to the next key
 * that is not deeper, and words of letters and digits, which may have lost their key. For files that are not well-formed,
 * where no node can be trusted.
 */
export const secretLines = (text: string): ReadonlyArray<Range> => {
  const ranges: Array<Range> = []
  const end = text.length
  const keys = /["']?([\w-]+)["']?[ \t]*:(?=[ \t\r\n]|$)/gmu
  for (const match of text.matchAll(keys)) {
    if (!isSecretName(match[1] ?? "") || match.index < (ranges.at(-1)?.[1] ?? 0)) continue
    const lineStart = text.lastIndexOf("\n", match.index) + 1
    const indent = /^[ \t]*(?:- +)*/u.exec(text.slice(lineStart, match.index))?.[0].length ?? 0
    const from = match.index + match[0].length
    let to = text.indexOf("\n", from)
    while (to !== -1 && to < end) {
      const next = text.indexOf("\n", to + 1)
      const line = text.slice(to + 1, next === -1 ? end : next)
      const depth = /^[ \t]*/u.exec(line)?.[0].length ?? 0
      if (line.trim() !== "" && depth <= indent && /^[ \t]*(- |["']?[\w-]+["']?[ \t]*:)/u.test(line)) break
      to = next
    }
    ranges.push([from, to === -1 ? end : to])
  }
  for (const { 0: word, index } of text.matchAll(/(?<![\w+/=.~:$-])[\w+/=.~-]{6,}/gu)) {
    if (/\d/u.test(word) && /[A-Za-z]/u.test(word)) ranges.push([index, index + word.length])
  }
  return ranges
}
