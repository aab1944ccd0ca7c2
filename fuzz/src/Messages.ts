import type { Wrong } from "./Case.ts"

/** Texts that stand for secrets in cases: no message may show them. */
export const canaries = ["key-canary-91", "token-canary-93", "refresh-canary-94", "config-canary-95"] as const

export const environment: Readonly<Record<string, string>> = { KEY: canaries[0], SHOP_SECRET: canaries[0] }

const longest = 6000

/**
 * What is wrong with a message that a person is to read: it shows a secret, it has control characters in it (a terminal would obey
 * them), it is empty, or endless, or shows a value of JavaScript that nobody meant to show. `quoted` is what it quotes of the API, or of the file.
 */
export const faultsOf = (message: string, quoted: string): ReadonlyArray<Wrong> => {
  const wrong: Array<Wrong> = []
  const say = (name: string) => void wrong.push({ name, detail: message.slice(0, 500) })
  if (canaries.some((secret) => message.includes(secret))) say("a message shows a secret")
  // A line of the file, and what points into it, are shown with its tabs; nothing else has any.
  const lines = message.split("\n").map((line) => (/^ *\d* \| /u.test(line) ? line.replaceAll("\t", "") : line))
  if (lines.some((line) => /[\p{Cc}\p{Cs}\u202a-\u202e]/u.test(line))) say("a message has control characters")
  if (message.trim().length < 10) say("a message says nothing")
  if (message.length > longest) say("a message is longer than anybody reads")
  const none = [...message.matchAll(/\[object |\bundefined\b|\bNaN\b/gu)].map(([word]) => word)
  if (none.some((word) => !quoted.includes(word))) say("a message shows a value that is none")
  return wrong
}
