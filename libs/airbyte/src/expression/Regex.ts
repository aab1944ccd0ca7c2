import { grow, tick } from "./Meter.ts"
import { PyError } from "./PyError.ts"
import { fold, type Node } from "./RegexNodes.ts"
import { parseRegex } from "./RegexParser.ts"

/** Where a match is, in code points, and its groups; group 0 is the whole. */
export interface RegexMatch {
  readonly start: number
  readonly end: number
  readonly groups: ReadonlyArray<string | undefined>
}

interface State {
  readonly text: ReadonlyArray<number>
  /** Start and end of each group, two entries a group; -1 is not matched. */
  marks: Array<number>
}

/** Matches at a position and goes on with `next`; answers the end, or -1. */
type Matcher = (state: State, at: number, next: (at: number) => number) => number

/** Every step of the matcher counts against the evaluation's budget: no pattern can run away with the time. */
const compile = (node: Node): Matcher => {
  switch (node.kind) {
    case "char": {
      const { test } = node
      return (state, at, next) => {
        tick()
        const code = state.text[at]
        return code !== undefined && test(code) ? next(at + 1) : -1
      }
    }
    case "at": {
      const { test } = node
      return (state, at, next) => (test(state.text, at) ? next(at) : -1)
    }
    case "seq": {
      const items = node.items.map(compile)
      const run = (state: State, index: number, at: number, next: (at: number) => number): number => {
        const item = items[index]
        return item === undefined ? next(at) : item(state, at, (end) => run(state, index + 1, end, next))
      }
      return (state, at, next) => run(state, 0, at, next)
    }
    case "alt": {
      const options = node.options.map(compile)
      return (state, at, next) => {
        for (const option of options) {
          tick()
          const saved = [...state.marks]
          const end = option(state, at, next)
          if (end >= 0) return end
          state.marks = saved
        }
        return -1
      }
    }
    case "group": {
      const body = compile(node.body)
      const { index } = node
      return (state, at, next) =>
        body(state, at, (end) => {
          const [start, stop] = [state.marks[index * 2] ?? -1, state.marks[index * 2 + 1] ?? -1]
          state.marks[index * 2] = at
          state.marks[index * 2 + 1] = end
          const result = next(end)
          if (result < 0) {
            state.marks[index * 2] = start
            state.marks[index * 2 + 1] = stop
          }
          return result
        })
    }
    case "look": {
      const body = compile(node.body)
      const { behind, negative } = node
      return (state, at, next) => {
        const saved = [...state.marks]
        const from = behind === undefined ? at : at - behind
        const found = from >= 0 && body(state, from, (end) => (behind === undefined || end === at ? end : -1)) >= 0
        if (found === negative) {
          state.marks = saved
          return -1
        }
        if (negative) state.marks = saved
        const end = next(at)
        if (end < 0) state.marks = saved
        return end
      }
    }
    case "atomic": {
      const body = compile(node.body)
      return (state, at, next) => {
        const saved = [...state.marks]
        const end = body(state, at, (stop) => stop)
        const result = end < 0 ? -1 : next(end)
        if (result < 0) state.marks = saved
        return result
      }
    }
    case "back": {
      const { index, ignoreCase } = node
      return (state, at, next) => {
        const [start, stop] = [state.marks[index * 2] ?? -1, state.marks[index * 2 + 1] ?? -1]
        if (stop < 0) return -1
        for (let offset = 0; offset < stop - start; offset++) {
          tick()
          const [a, b] = [state.text[start + offset], state.text[at + offset]]
          if (a === undefined || b === undefined) return -1
          if (a !== b && !(ignoreCase && fold(a) === fold(b))) return -1
        }
        return next(at + stop - start)
      }
    }
    case "if": {
      const yes = compile(node.yes)
      const no = compile(node.no)
      const { index } = node
      return (state, at, next) => ((state.marks[index * 2 + 1] ?? -1) >= 0 ? yes(state, at, next) : no(state, at, next))
    }
    default:
      return compileRepeat(node)
  }
}

const compileRepeat = (node: Extract<Node, { readonly kind: "repeat" }>): Matcher => {
  const { min, max, mode } = node
  if (mode === "possessive") return compile({ kind: "atomic", body: { ...node, mode: "greedy" } })
  if (node.body.kind === "char") {
    const { test } = node.body
    if (mode === "greedy") {
      return (state, at, next) => {
        let end = at
        for (let code = state.text[end]; code !== undefined && end - at < max && test(code); code = state.text[end]) {
          tick()
          end++
        }
        for (; end - at >= min; end--) {
          tick()
          const result = next(end)
          if (result >= 0) return result
        }
        return -1
      }
    }
    return (state, at, next) => {
      for (let end = at; end - at <= max; end++) {
        tick()
        if (end - at >= min) {
          const result = next(end)
          if (result >= 0) return result
        }
        const code = state.text[end]
        if (code === undefined || !test(code)) return -1
      }
      return -1
    }
  }
  const body = compile(node.body)
  const turn = (state: State, at: number, count: number, next: (at: number) => number): number => {
    tick()
    const more = (): number => {
      if (count >= max) return -1
      const saved = [...state.marks]
      // A turn that matched nothing is not repeated, or it would go on for ever.
      const end = body(state, at, (stop) => (stop === at && count >= min ? -1 : turn(state, stop, count + 1, next)))
      if (end < 0) state.marks = saved
      return end
    }
    if (count < min) return more()
    if (mode === "lazy") {
      const end = next(at)
      return end >= 0 ? end : more()
    }
    const end = more()
    return end >= 0 ? end : next(at)
  }
  return (state, at, next) => turn(state, at, 0, next)
}

const text = (codes: ReadonlyArray<number>, from: number, to: number): string => {
  let result = ""
  for (let at = from; at < to; at++) result += String.fromCodePoint(codes[at] ?? 0)
  return result
}

/** A compiled regular expression in Python's syntax. */
export class Regex {
  readonly groups: number
  readonly names: ReadonlyMap<string, number>
  private readonly matcher: Matcher

  constructor(pattern: string) {
    const parsed = parseRegex(pattern)
    this.groups = parsed.groups
    this.names = parsed.names
    this.matcher = compile(parsed.node)
  }

  private matchAt(codes: ReadonlyArray<number>, from: number, notEmptyAt: number): RegexMatch | undefined {
    for (let at = from; at <= codes.length; at++) {
      tick()
      const state: State = { text: codes, marks: Array.from({ length: (this.groups + 1) * 2 }, () => -1) }
      const end = this.matcher(state, at, (stop) => (stop === at && at === notEmptyAt ? -1 : stop))
      if (end < 0) continue
      const groups: Array<string | undefined> = [text(codes, at, end)]
      for (let group = 1; group <= this.groups; group++) {
        const [start, stop] = [state.marks[group * 2] ?? -1, state.marks[group * 2 + 1] ?? -1]
        groups.push(stop < 0 ? undefined : text(codes, start, stop))
      }
      return { start: at, end, groups }
    }
    return undefined
  }

  /** re.search */
  search(subject: string): RegexMatch | undefined {
    return this.matchAt(codesOf(subject), 0, -1)
  }

  /** re.sub */
  replace(subject: string, template: string): string {
    const parts = this.template(template)
    const codes = codesOf(subject)
    let result = ""
    let from = 0
    let at = 0
    let notEmptyAt = -1
    for (;;) {
      const match = at > codes.length ? undefined : this.matchAt(codes, at, notEmptyAt)
      if (match === undefined) break
      result += text(codes, from, match.start)
      for (const part of parts) {
        const piece = typeof part === "string" ? part : (match.groups[part] ?? "")
        grow(piece.length)
        result += piece
      }
      from = match.end
      at = match.end
      // After an empty match the next one may not be empty at the same place.
      notEmptyAt = match.end === match.start ? match.end : -1
    }
    return result + text(codes, from, codes.length)
  }

  /** The texts and group numbers of a replacement. */
  private template(source: string): ReadonlyArray<string | number> {
    const parts: Array<string | number> = []
    let plain = ""
    const group = (index: number): void => {
      if (index > this.groups) throw new PyError("re.error", `invalid group reference ${index}`)
      if (plain !== "") parts.push(plain)
      plain = ""
      parts.push(index)
    }
    for (let at = 0; at < source.length; at++) {
      const char = source.charAt(at)
      if (char !== "\\") {
        plain += char
        continue
      }
      const rest = source.slice(at + 1)
      const named = /^g<([^>]*)>/.exec(rest)
      const octal = /^0[0-7]{0,2}/.exec(rest) ?? /^[0-3][0-7]{2}/.exec(rest)
      const digits = /^[1-9][0-9]?/.exec(rest)
      const simple: { readonly [escape: string]: string } = {
        a: "\x07",
        b: "\b",
        f: "\f",
        n: "\n",
        r: "\r",
        t: "\t",
        v: "\v",
        "\\": "\\"
      }
      const next = rest.charAt(0)
      if (rest === "") throw new PyError("re.error", "bad escape (end of pattern)")
      if (named !== null) {
        const name = named[1] ?? ""
        if (name === "") throw new PyError("re.error", "missing group name")
        const index = /^\d+$/.test(name) ? Number(name) : this.names.get(name)
        if (index === undefined) {
          if (!/^[\p{XID_Start}_]\p{XID_Continue}*$/u.test(name))
            throw new PyError("re.error", `bad character in group name '${name}'`)
          throw new PyError("IndexError", `unknown group name '${name}'`)
        }
        group(index)
        at += named[0].length
      } else if (octal !== null) {
        const code = Number.parseInt(octal[0], 8)
        if (code > 0o377) throw new PyError("re.error", "octal escape value outside of range 0-0o377")
        plain += String.fromCharCode(code)
        at += octal[0].length
      } else if (digits !== null) {
        group(Number(digits[0]))
        at += digits[0].length
      } else if (simple[next] !== undefined) {
        plain += simple[next]
        at++
      } else {
        if (/[A-Za-z]/.test(next)) throw new PyError("re.error", next === "g" ? "missing <" : `bad escape \\${next}`)
        plain += `\\${next}`
        at++
      }
    }
    if (plain !== "") parts.push(plain)
    return parts
  }
}

const codesOf = (subject: string): ReadonlyArray<number> => {
  grow(subject.length)
  return Array.from(subject, (char) => char.codePointAt(0) ?? 0)
}

const compiled = new Map<string, Regex>()

/** The compiled form of a pattern; the last ones are kept. */
export const compileRegex = (pattern: string): Regex => {
  const known = compiled.get(pattern)
  if (known !== undefined) return known
  const made = new Regex(pattern)
  if (compiled.size >= 200) compiled.clear()
  compiled.set(pattern, made)
  return made
}
