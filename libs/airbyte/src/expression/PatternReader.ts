import { PyError } from "./PyError.ts"

const escapes: { readonly [char: string]: number } = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, "\\": 92 }

/** Reads a regular expression's text, character by character. */
export class PatternReader {
  protected readonly source: ReadonlyArray<string>
  protected at = 0

  constructor(pattern: string) {
    this.source = Array.from(pattern)
  }

  protected fail(message: string, at = this.at): PyError {
    return new PyError("re.error", `${message} at position ${at}`)
  }

  protected peek(ahead = 0): string {
    return this.source[this.at + ahead] ?? ""
  }

  protected eat(text: string): boolean {
    for (let index = 0; index < text.length; index++) if (this.peek(index) !== text[index]) return false
    this.at += text.length
    return true
  }

  protected until(end: string, what: string): string {
    const start = this.at
    while (this.peek() !== end) {
      if (this.at >= this.source.length)
        throw this.fail(start === this.at ? `missing ${what}` : `missing ${end}, unterminated name`, start)
      this.at++
    }
    const text = this.source.slice(start, this.at).join("")
    this.at++
    if (text === "") throw this.fail(`missing ${what}`, start)
    return text
  }

  /** The character an escape stands for; the position is after the backslash. */
  protected escapedCode(inSet: boolean): number {
    const start = this.at - 1
    const char = this.peek()
    if (char === "") throw this.fail("bad escape (end of pattern)", start)
    this.at++
    const size = char === "x" ? 2 : char === "u" ? 4 : char === "U" ? 8 : 0
    if (size > 0) {
      const digits = this.source.slice(this.at, this.at + size).join("")
      const hex = /^[0-9a-fA-F]*/.exec(digits)?.[0] ?? ""
      if (hex.length !== size) throw this.fail(`incomplete escape \\${char}${hex}`, start)
      this.at += size
      const code = Number.parseInt(hex, 16)
      if (code > 0x10ffff) throw this.fail("bad escape", start)
      return code
    }
    if (/[0-7]/.test(char) && (inSet || char === "0")) {
      const digits = /^[0-7]{1,3}/.exec(this.source.slice(this.at - 1, this.at + 2).join(""))?.[0] ?? "0"
      this.at += digits.length - 1
      const code = Number.parseInt(digits, 8)
      if (code > 0o377) throw this.fail("octal escape value outside of range 0-0o377", start)
      return code
    }
    const simple = escapes[char]
    if (simple !== undefined && (char !== "b" || inSet)) return simple
    if (/[A-Za-z0-9]/.test(char)) throw this.fail(`bad escape \\${char}`, start)
    return char.codePointAt(0) ?? 0
  }
}
