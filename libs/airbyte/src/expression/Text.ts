import { grow } from "./Meter.ts"

/** Text as Python sees it: a sequence of code points. Text without surrogates, nearly all there is, needs no work. */

const surrogate = /[\ud800-\udfff]/

export const isWide = (text: string): boolean => surrogate.test(text)

export const length = (text: string): number => {
  if (!isWide(text)) return text.length
  let count = 0
  for (let at = 0; at < text.length; at++) {
    if ((text.codePointAt(at) ?? 0) > 0xffff) at++
    count++
  }
  return count
}

/** The code points of the text, each as a string. */
export const points = (text: string): ReadonlyArray<string> => {
  grow(text.length)
  return isWide(text) ? Array.from(text) : text.split("")
}

/** The text from code point `start` to before `end`; both are within it. */
export const slice = (text: string, start: number, end: number): string =>
  isWide(text) ? points(text).slice(start, end).join("") : text.slice(start, end)

/** The number of code points before an offset in code units. */
export const pointOffset = (text: string, unit: number): number => (unit < 0 ? unit : length(text.slice(0, unit)))

const notPrintable = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u
export const isPrintable = (char: string): boolean => !notPrintable.test(char)

/** What Python's str.isspace, strip and split call whitespace. */
export const whitespace = "\t\n\v\f\r\u001c-\u001f \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
const leading = new RegExp(`^[${whitespace}]+`)
const only = new RegExp(`^[${whitespace}]+$`)
const spaces = new RegExp(`[${whitespace}]`)

export const isSpace = (text: string): boolean => only.test(text)
export const isSpaceAt = (text: string, at: number): boolean => at < text.length && spaces.test(text.charAt(at))
export const trimStart = (text: string): string => text.replace(leading, "")
export const trimEnd = (text: string): string => {
  let end = text.length
  while (end > 0 && isSpaceAt(text, end - 1)) end--
  return text.slice(0, end)
}
export const trim = (text: string): string => trimEnd(trimStart(text))

// oxlint-disable-next-line no-control-regex -- the separators are control characters
const lineEnd = /\r\n|[\n\v\f\r\u001c-\u001e\u0085\u2028\u2029]/g

export const splitLines = (text: string, keepEnds: boolean): Array<string> => {
  const lines: Array<string> = []
  let from = 0
  for (const match of text.matchAll(lineEnd)) {
    const end = match.index + match[0].length
    lines.push(text.slice(from, keepEnds ? end : match.index))
    from = end
  }
  if (from < text.length) lines.push(text.slice(from))
  grow(text.length)
  return lines
}

/** The digits of Unicode's decimal scripts as ASCII: what int() and float() read. */
export const asciiDigits = (text: string): string =>
  /\p{Nd}/u.test(text)
    ? text.replace(/\p{Nd}/gu, (digit) => {
        const code = digit.codePointAt(0) ?? 0
        if (code < 128) return digit
        // Decimal digits of a script are ten code points in a row; the value is the distance from the first.
        let first = code
        while (code - first < 9 && /\p{Nd}/u.test(String.fromCodePoint(first - 1))) first--
        return String((code - first) % 10)
      })
    : text
