import { optionalIndex, wantStr } from "./Arguments.ts"
import { truthy } from "./Compare.ts"
import { grow, tick } from "./Meter.ts"
import { PyError, valueError } from "./PyError.ts"
import * as Text from "./Text.ts"
import { PyUndefined, strOf, typeName, type Value } from "./Value.ts"

const ws = "[\\t\\n\\x0b\\x0c\\r ]"
const nws = "[^\\t\\n\\x0b\\x0c\\r ]"
const wp = "[\\p{L}\\p{N}_!\"'&.,?]"
const lt = "[\\p{L}_]"
const separator = new RegExp(
  `(${ws}+|(?<=${wp})-{2,}(?=[\\p{L}\\p{N}_])|${nws}+?(?:-(?:(?<=${lt}{2}-)|(?<=${lt}-${lt}-))(?=${lt}-?${lt})|(?=${ws}|$)|(?<=${wp})(?=-{2,}[\\p{L}\\p{N}_])))`,
  "u"
)
const simple = new RegExp(`(${ws}+)`)

const wrapLine = (line: string, width: number, breakLong: boolean, hyphens: boolean): ReadonlyArray<string> => {
  if (width <= 0) throw valueError(`invalid width ${width} (must be > 0)`)
  const chunks = line
    .split(hyphens ? separator : simple)
    .filter((chunk) => chunk !== "")
    .toReversed()
  const lines: Array<string> = []
  const blank = (chunk: string | undefined): boolean => chunk !== undefined && Text.trim(chunk) === ""
  while (chunks.length > 0) {
    tick()
    const current: Array<string> = []
    let size = 0
    if (blank(chunks.at(-1)) && lines.length > 0) chunks.pop()
    for (let next = chunks.at(-1); next !== undefined; next = chunks.at(-1)) {
      const length = Text.length(next)
      if (size + length > width) break
      current.push(next)
      size += length
      chunks.pop()
    }
    const long = chunks.at(-1)
    if (long !== undefined && Text.length(long) > width) {
      const room = width - size
      if (breakLong) {
        let end = room
        const hyphen = hyphens && Text.length(long) > room ? Text.slice(long, 0, room).lastIndexOf("-") : -1
        if (hyphen > 0 && /[^-]/.test(long.slice(0, hyphen))) end = hyphen + 1
        current.push(Text.slice(long, 0, end))
        chunks[chunks.length - 1] = Text.slice(long, end, Text.length(long))
      } else if (current.length === 0) {
        current.push(long)
        chunks.pop()
      }
    }
    if (blank(current.at(-1))) current.pop()
    if (current.length > 0) lines.push(current.join(""))
  }
  return lines
}

/** The `wordwrap` filter. */
export const wrap = (value: Value, args: ReadonlyArray<Value | undefined>): Value => {
  const [width, breakLong, wrapString, hyphens] = args
  const text = strOf(value)
  if (text === undefined) {
    if (value instanceof PyUndefined) throw value.error()
    throw new PyError("AttributeError", `'${typeName(value)}' object has no attribute 'splitlines'`)
  }
  const glue = wrapString === undefined || wrapString === null ? "\n" : wantStr(wrapString, "wrapstring")
  const columns = optionalIndex(width, 79)
  const lines = Text.splitLines(text, false).map((line) =>
    wrapLine(
      line,
      columns,
      breakLong === undefined || truthy(breakLong),
      hyphens === undefined || truthy(hyphens)
    ).join(glue)
  )
  grow(text.length + glue.length * lines.length)
  return lines.join(glue)
}
