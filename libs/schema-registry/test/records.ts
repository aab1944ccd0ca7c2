import { seeded } from "@tributary/testkit"

/** Generates records as JSON texts from a seed, with fields that come and go and change their types. */

const integers = [
  "0",
  "1",
  "-17",
  "9007199254740991",
  "9007199254740993",
  "-9223372036854775808",
  "9223372036854775807"
]
const large = ["9223372036854775808", "18446744073709551615", "-9223372036854775809", "100000000000000000000000000000"]
const fractions = ["1.5", "1.50", "0.1", "-0.0", "-0", "1e5", "1E+30", "2.5e-8", "3.141592653589793", "5e-324", "1.0"]
const inexact = ["0.12345678901234567890123", "123456789012345.678901", "1e400"]
const strings = [
  '""',
  '"Zoë"',
  '"李小龙 😀"',
  '"a\\"b\\\\"',
  '"\\u00e9\\/\\n"',
  '"\\ud83d\\ude00"',
  '"\\ud800"',
  '"1.50"',
  '"null"'
]
const nested = ['{"a":9007199254740993,"a":1.50}', "[1,  2.50]", "{}", "[]", '{"x":{"y":[null,true]}}']
const kinds = [integers, fractions, strings, ["true", "false"], ["null"], nested, large, inexact]
const keys = ["id", "total", "name", "paid", "note", "a-b", "a_b", "a b", "_extra", "_nulls", "__proto__", ""].concat([
  "ключ",
  "1st",
  "constructor",
  "toString",
  "très",
  "x.y"
])
const spaces = ["", "", "", " ", "\n\t", "\r\n "]

/** `count` records; each key mostly keeps its kind of value, and sometimes not. */
export const recordTexts = (seed: number, count: number): ReadonlyArray<string> => {
  const next = seeded(seed).next
  const pick = <A>(items: ReadonlyArray<A>): A => items[Math.floor(next() * items.length)]!
  const kindOfKey = new Map(keys.map((key) => [key, pick(kinds)]))
  return Array.from({ length: count }, () => {
    const members = keys
      .filter(() => next() < 0.6)
      .map((key) => {
        const value = pick(next() < 0.85 ? kindOfKey.get(key)! : pick(kinds))
        return [pick(spaces), JSON.stringify(key), pick(spaces), ":", pick(spaces), value, pick(spaces)].join("")
      })
    if (next() < 0.3) members.reverse()
    return `${pick(spaces)}{${members.join()}}`
  })
}
