/** Generates JSON texts from a seed: deep and flat, with white space, escapes, odd numbers and repeated keys. */

/** A repeatable sequence of numbers in [0, 1) (mulberry32). */
export const random = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

const numbers = [
  "0",
  "-0",
  "1",
  "-17",
  "9007199254740991",
  "9007199254740992",
  "9007199254740993",
  "-9223372036854775808",
  "18446744073709551615",
  "1.5",
  "1.50",
  "0.1",
  "0.0000001",
  "1e5",
  "1E+30",
  "2.5e-8",
  "123456789012345.678901",
  "3.141592653589793",
  "-0.0",
  "100000000000000000000"
]
const strings = [
  '""',
  '"a"',
  '"id"',
  '"data"',
  '"Zoë"',
  '"李小龙"',
  '"😀"',
  '"a\\"b"',
  '"\\\\"',
  '"\\u00e9\\/\\n"',
  '"\\ud83d\\ude00"',
  '"[1,{\\"a\\":9007199254740993}]"'
]
const keys = ['"id"', '"data"', '"a"', '"b"', '"d\\u0061ta"', '"\\u0069d"', '"__proto__"', '""', '"toString"', '"ключ"']
const spaces = ["", "", "", "", " ", "\n", "\t", " \r\n "]

export const document = (seed: number): string => {
  const next = random(seed)
  const pick = <A>(items: ReadonlyArray<A>): A => items[Math.floor(next() * items.length)]!
  const value = (depth: number): string => {
    const kind = next()
    if (depth > 0 && kind < 0.35) {
      const members = Array.from({ length: Math.floor(next() * 5) }, () =>
        [pick(keys), pick(spaces), ":", pick(spaces), value(depth - 1), pick(spaces)].join("")
      )
      return `{${pick(spaces)}${members.join(`,${pick(spaces)}`)}}`
    }
    if (depth > 0 && kind < 0.65) {
      const items = Array.from({ length: Math.floor(next() * 5) }, () => value(depth - 1) + pick(spaces))
      return `[${pick(spaces)}${items.join(`,${pick(spaces)}`)}]`
    }
    if (kind < 0.8) return pick(numbers)
    if (kind < 0.95) return pick(strings)
    return pick(["true", "false", "null"])
  }
  return pick(spaces) + value(5) + pick(spaces)
}

/** Changes a few bytes: cuts, repeats, removes, replaces. Mostly no JSON any more, sometimes another one. */
export const mutate = (text: string, seed: number): Buffer => {
  const next = random(seed ^ 0x5bd1e995)
  let bytes = Buffer.from(text)
  const alphabet = '{}[],:"\\0123456789-+.eE truefalsn\u0001u'
  for (let n = 1 + Math.floor(next() * 3); n > 0; n--) {
    const at = Math.floor(next() * (bytes.length + 1))
    const kind = Math.floor(next() * 4)
    const extra = Buffer.from(alphabet[Math.floor(next() * alphabet.length)]!)
    if (kind === 0) bytes = bytes.subarray(0, at)
    else if (kind === 1) bytes = Buffer.concat([bytes.subarray(0, at), extra, bytes.subarray(at)])
    else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)])
    else bytes = Buffer.concat([bytes.subarray(0, at), extra, bytes.subarray(at + 1)])
  }
  return bytes
}
