import { PatternReader } from "./PatternReader.ts"
import { PyError } from "./PyError.ts"
import { asciiWord, digitChar, fold, type Node, spaceChar, widthOf, wordChar } from "./RegexNodes.ts"

interface Flags {
  readonly i: boolean
  readonly m: boolean
  readonly s: boolean
  readonly x: boolean
  readonly a: boolean
}

export interface ParsedRegex {
  readonly node: Node
  readonly groups: number
  readonly names: ReadonlyMap<string, number>
}

type CharTest = (code: number) => boolean

const not =
  (test: CharTest): CharTest =>
  (code) =>
    !test(code)

/** The parser of Python's regular expressions (the `re` module of 3.11). */
class RegexParser extends PatternReader {
  private depth = 0
  groups = 0
  readonly names = new Map<string, number>()
  private readonly openGroups = new Set<number>()
  private flags: Flags = { i: false, m: false, s: false, x: false, a: false }

  parse(): Node {
    const node = this.alternatives()
    if (this.at < this.source.length) throw this.fail("unbalanced parenthesis")
    return node
  }

  private alternatives(): Node {
    if (++this.depth > 100) throw new PyError("RecursionError", "a regular expression nested too deep")
    const options = [this.sequence()]
    while (this.eat("|")) options.push(this.sequence())
    this.depth--
    const [only] = options
    return options.length === 1 && only !== undefined ? only : { kind: "alt", options }
  }

  private sequence(): Node {
    const items: Array<Node> = []
    while (this.at < this.source.length) {
      const char = this.peek()
      if (char === "|" || char === ")") break
      if (this.flags.x) {
        if (spaceChar(char.codePointAt(0) ?? 0)) {
          this.at++
          continue
        }
        if (char === "#") {
          while (this.at < this.source.length && this.peek() !== "\n") this.at++
          continue
        }
      }
      const atom = this.atom()
      if (atom === undefined) continue
      items.push(this.quantified(atom))
    }
    const [only] = items
    return items.length === 1 && only !== undefined ? only : { kind: "seq", items }
  }

  private quantifier(): readonly [min: number, max: number] | undefined {
    const char = this.peek()
    if (char === "*" || char === "+" || char === "?") {
      this.at++
      return char === "*" ? [0, Infinity] : char === "+" ? [1, Infinity] : [0, 1]
    }
    if (char !== "{") return undefined
    const rest = this.source.slice(this.at, this.at + 30).join("")
    const match = /^\{(\d*)(,?)(\d*)\}/.exec(rest)
    if (match === null || match[0] === "{}") return undefined
    const [whole, low = "", comma, high = ""] = match
    if (low === "" && comma === "") return undefined
    const start = this.at
    this.at += whole.length
    const min = low === "" ? 0 : Number(low)
    const max = comma === "" ? min : high === "" ? Infinity : Number(high)
    if (min >= 4_294_967_295 || (max !== Infinity && max >= 4_294_967_295)) {
      throw new PyError("OverflowError", "the repetition number is too large")
    }
    if (max < min) throw this.fail("min repeat greater than max repeat", start)
    return [min, max]
  }

  private quantified(atom: Node): Node {
    const at = this.at
    const bounds = this.quantifier()
    if (bounds === undefined) return atom
    if (atom.kind === "at") throw this.fail("nothing to repeat", at)
    const mode = this.eat("?") ? "lazy" : this.eat("+") ? "possessive" : "greedy"
    const next = this.at
    if (this.quantifier() !== undefined) throw this.fail("multiple repeat", next)
    this.at = next
    return { kind: "repeat", body: atom, min: bounds[0], max: bounds[1], mode }
  }

  private char(test: CharTest): Node {
    return { kind: "char", test }
  }

  private literal(code: number): Node {
    if (!this.flags.i) return this.char((found) => found === code)
    const folded = fold(code)
    return this.char((found) => fold(found) === folded)
  }

  private atom(): Node | undefined {
    const char = this.peek()
    const { m, s } = this.flags
    switch (char) {
      case ".":
        this.at++
        return this.char(s ? () => true : (code) => code !== 10)
      case "^":
        this.at++
        return { kind: "at", test: m ? (text, at) => at === 0 || text[at - 1] === 10 : (_, at) => at === 0 }
      case "$":
        this.at++
        return {
          kind: "at",
          test: m
            ? (text, at) => at === text.length || text[at] === 10
            : (text, at) => at === text.length || (at === text.length - 1 && text[at] === 10)
        }
      case "[":
        this.at++
        return this.set()
      case "(":
        return this.group()
      case "\\":
        return this.escape()
      case "*":
      case "+":
      case "?":
        throw this.fail("nothing to repeat")
      case "{": {
        const at = this.at
        if (this.quantifier() !== undefined) throw this.fail("nothing to repeat", at)
        this.at++
        return this.literal(123)
      }
      default:
        this.at++
        return this.literal(char.codePointAt(0) ?? 0)
    }
  }

  private category(name: string): CharTest | undefined {
    const { a } = this.flags
    switch (name) {
      case "d":
        return a ? (code) => code >= 48 && code <= 57 : digitChar
      case "D":
        return not(a ? (code) => code >= 48 && code <= 57 : digitChar)
      case "s":
        return a ? (code) => code === 32 || (code >= 9 && code <= 13) : spaceChar
      case "S":
        return not(a ? (code) => code === 32 || (code >= 9 && code <= 13) : spaceChar)
      case "w":
        return a ? asciiWord : wordChar
      case "W":
        return not(a ? asciiWord : wordChar)
      default:
        return undefined
    }
  }

  private escape(): Node {
    const start = this.at
    this.at++
    const name = this.peek()
    const category = this.category(name)
    if (category !== undefined) {
      this.at++
      return this.char(category)
    }
    const word = this.flags.a ? asciiWord : wordChar
    const boundary = (text: ReadonlyArray<number>, at: number): boolean => {
      const before = text[at - 1]
      const after = text[at]
      return (before !== undefined && word(before)) !== (after !== undefined && word(after))
    }
    switch (name) {
      case "A":
        this.at++
        return { kind: "at", test: (_, at) => at === 0 }
      case "Z":
        this.at++
        return { kind: "at", test: (text, at) => at === text.length }
      case "b":
        this.at++
        return { kind: "at", test: boundary }
      case "B":
        this.at++
        // In Python 3.11 the empty text has no boundary and no non-boundary.
        return { kind: "at", test: (text, at) => text.length > 0 && !boundary(text, at) }
      default:
    }
    if (/[1-9]/.test(name)) {
      const digits = this.source.slice(this.at, this.at + 3).join("")
      if (/^[0-3][0-7]{2}/.test(digits)) {
        this.at += 3
        return this.literal(Number.parseInt(digits, 8))
      }
      const index = Number(/^\d{1,2}/.exec(digits)?.[0] ?? 0)
      this.at += String(index).length
      return this.backReference(index, start)
    }
    return this.literal(this.escapedCode(false))
  }

  private backReference(index: number, start: number): Node {
    if (index > this.groups) throw this.fail(`invalid group reference ${index}`, start + 1)
    if (this.openGroups.has(index)) throw this.fail("cannot refer to an open group", start)
    return { kind: "back", index, ignoreCase: this.flags.i }
  }

  private set(): Node {
    const start = this.at - 1
    const negative = this.eat("^")
    const tests: Array<CharTest> = []
    let first = true
    for (;;) {
      const char = this.peek()
      if (char === "") throw this.fail("unterminated character set", start)
      if (char === "]" && !first) {
        this.at++
        break
      }
      first = false
      const low = this.setItem()
      if (typeof low === "function") {
        if (this.peek() === "-" && this.peek(1) !== "]" && this.peek(1) !== "") throw this.fail("bad character range")
        tests.push(low)
        continue
      }
      if (this.peek() === "-" && this.peek(1) !== "]") {
        if (this.peek(1) === "") throw this.fail("unterminated character set", start)
        this.at++
        const high = this.setItem()
        if (typeof high === "function" || high < low) throw this.fail("bad character range")
        tests.push((code) => code >= low && code <= high)
      } else tests.push((code) => code === low)
    }
    const plain = (code: number): boolean => tests.some((test) => test(code))
    const { i } = this.flags
    const test = i
      ? (code: number): boolean => {
          if (plain(code) || plain(fold(code))) return true
          const upper = String.fromCodePoint(code).toUpperCase().codePointAt(0) ?? code
          return plain(upper)
        }
      : plain
    return this.char(negative ? not(test) : test)
  }

  private setItem(): number | CharTest {
    if (this.peek() !== "\\") return this.source[this.at++]?.codePointAt(0) ?? 0
    this.at++
    const category = this.category(this.peek())
    if (category !== undefined) {
      this.at++
      return category
    }
    return this.escapedCode(true)
  }

  private groupName(end: string): string {
    const start = this.at
    const name = this.until(end, "group name")
    if (!/^[\p{XID_Start}_]\p{XID_Continue}*$/u.test(name))
      throw this.fail(`bad character in group name '${name}'`, start)
    return name
  }

  private close(start: number): void {
    if (!this.eat(")")) throw this.fail("missing ), unterminated subpattern", start)
  }

  private group(): Node | undefined {
    const start = this.at
    this.at++
    if (!this.eat("?")) return this.capture(start, undefined)
    if (this.eat("P")) {
      if (this.eat("<")) return this.capture(start, this.groupName(">"))
      if (this.eat("=")) {
        const name = this.groupName(")")
        const index = this.names.get(name)
        if (index === undefined) throw this.fail(`unknown group name '${name}'`, start)
        return this.backReference(index, start)
      }
      throw this.fail(`unknown extension ?P${this.peek()}`, start)
    }
    if (this.eat(":")) return this.plain(start)
    if (this.eat("#")) {
      while (this.peek() !== ")") {
        if (this.peek() === "") throw this.fail("missing ), unterminated comment", start)
        this.at++
      }
      this.at++
      return undefined
    }
    if (this.eat(">")) return { kind: "atomic", body: this.plain(start) }
    for (const [text, negative, behind] of [
      ["=", false, false],
      ["!", true, false],
      ["<=", false, true],
      ["<!", true, true]
    ] as const) {
      if (!this.eat(text)) continue
      const body = this.plain(start)
      const [min, max] = widthOf(body)
      if (behind && min !== max) throw this.fail("look-behind requires fixed-width pattern", start)
      return { kind: "look", body, negative, behind: behind ? min : undefined }
    }
    if (this.eat("(")) return this.conditional(start)
    return this.inlineFlags(start)
  }

  private plain(start: number): Node {
    const body = this.alternatives()
    this.close(start)
    return body
  }

  private capture(start: number, name: string | undefined): Node {
    const index = ++this.groups
    if (index > 1000) throw this.fail("too many groups", start)
    if (name !== undefined) {
      if (this.names.has(name)) throw this.fail(`redefinition of group name '${name}'`, start)
      this.names.set(name, index)
    }
    this.openGroups.add(index)
    const body = this.alternatives()
    this.close(start)
    this.openGroups.delete(index)
    return { kind: "group", index, body }
  }

  private conditional(start: number): Node {
    const name = this.until(")", "group name")
    const index = /^\d+$/.test(name) ? Number(name) : this.names.get(name)
    if (index === undefined) throw this.fail(`unknown group name '${name}'`, start)
    if (index === 0 || index > 1000) throw this.fail("bad group number", start)
    const yes = this.sequence()
    const no: Node = this.eat("|") ? this.sequence() : { kind: "seq", items: [] }
    if (this.peek() === "|") throw this.fail("conditional backref with more than two branches")
    this.close(start)
    if (index > this.groups) throw this.fail(`invalid group reference ${index}`, start)
    return { kind: "if", index, yes, no }
  }

  private inlineFlags(start: number): Node | undefined {
    const match = /^([aiLmsux]*)(?:-([imsx]+))?([:)])/.exec(this.source.slice(this.at, this.at + 20).join(""))
    if (match === null) throw this.fail(`unknown extension ?${this.peek()}`, start)
    const [whole, on = "", off = "", end] = match
    if (on.includes("L")) throw this.fail("bad inline flags: cannot use 'L' flag with a str pattern", start)
    if (on === "" && off === "") throw this.fail("missing flag", start)
    this.at += whole.length
    const set = (flag: keyof Flags): boolean => (this.flags[flag] || on.includes(flag)) && !off.includes(flag)
    const flags: Flags = { i: set("i"), m: set("m"), s: set("s"), x: set("x"), a: set("a") && !on.includes("u") }
    if (end === ")") {
      if (off !== "") throw this.fail("missing :", start)
      if (start !== 0) throw this.fail("global flags not at the start of the expression", start)
      this.flags = flags
      return undefined
    }
    const saved = this.flags
    this.flags = flags
    const body = this.plain(start)
    this.flags = saved
    return body
  }
}

export const parseRegex = (pattern: string): ParsedRegex => {
  const parser = new RegexParser(pattern)
  const node = parser.parse()
  return { node, groups: parser.groups, names: parser.names }
}
