import { defaultLimits, enter, leave } from "../expression/Meter.ts"
import { compileRegex } from "../expression/Regex.ts"

/** Work with a pattern outside of an expression has the bounds of one evaluation. */
const bounded = <A>(body: () => A): A => {
  const saved = enter(defaultLimits)
  try {
    return body()
  } finally {
    leave(saved)
  }
}

/** What a pattern in Python's syntax matches at the start of a text (re.match). Throws a `PyError` for a wrong pattern. */
export const matchAtStart = (pattern: string, text: string): string | undefined =>
  bounded(() => {
    const found = compileRegex(pattern).search(text)
    return found?.start === 0 ? (found.groups[0] ?? "") : undefined
  })

/** Whether a text has what a pattern in Python's syntax matches (re.search). Throws a `PyError` for a wrong pattern. */
export const isFound = (pattern: string, text: string): boolean =>
  bounded(() => compileRegex(pattern).search(text) !== undefined)
