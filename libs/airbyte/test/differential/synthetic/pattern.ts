/** Texts that fit a regular expression, for configs that a spec's `pattern` judges. */

const candidates: ReadonlyArray<string> = [
  "2024-02-19T00:00:00Z",
  "2024-02-19",
  "2024-02-19 00:00:00",
  "2024-02-19T00:00:00",
  "2024-02-19T00:00:00.000Z",
  "2024-02-19T00:00:00+00:00",
  "2024-02-19T00:00:00+0000",
  "2024-02-19T00:00:00.000000Z",
  "2024-02-19T00:00:00.000000+00:00",
  "2024-02-19T00:00Z",
  "2024-02-19T00:00",
  "2024-02-19 00:00",
  "2024/02/19",
  "02/19/2024",
  "19-02-2024",
  "19.02.2024",
  "2024-02",
  "20240219",
  "text",
  "1",
  "12345",
  "1708300800",
  "https://api.example.com",
  "https://api.example.com/",
  "api.example.com",
  "P30D",
  "a@example.com",
  "0a1b2c3d-0a1b-4c3d-8e5f-0a1b2c3d4e5f",
  "us",
  "US"
]

const fits = (pattern: RegExp, text: string): boolean => pattern.test(text)

/** One character of a class such as `a-zA-Z0-9_` or `\d`. */
const fromClass = (inside: string): string => {
  const not = inside.startsWith("^")
  const made = new RegExp(`[${inside}]`)
  const order = "a1A0bz-_. /:@"
  for (const char of order) if (made.test(char)) return char
  for (let code = 33; code < 127; code++) {
    const char = String.fromCharCode(code)
    if (made.test(char)) return char
  }
  return not ? "a" : ""
}

interface Reader {
  readonly text: string
  at: number
}

const escapes: { readonly [char: string]: string } = { d: "1", w: "a", s: " ", S: "a", D: "a", W: "-", b: "", B: "" }

const atom = (reader: Reader): string => {
  const char = reader.text[reader.at++] ?? ""
  switch (char) {
    case "^":
    case "$":
      return ""
    case ".":
      return "a"
    case "\\": {
      const escaped = reader.text[reader.at++] ?? ""
      return escapes[escaped] ?? escaped
    }
    case "[": {
      const end = /(?:[^\\\]]|\\.)*/y
      end.lastIndex = reader.at
      const inside = end.exec(reader.text)?.[0] ?? ""
      reader.at += inside.length + 1
      return fromClass(inside)
    }
    case "(": {
      const kind = /^\?(?::|=|!|<[=!]|<\w+>|P<\w+>)/.exec(reader.text.slice(reader.at))?.[0] ?? ""
      reader.at += kind.length
      const inner = choice(reader)
      reader.at++
      return /^\?(?:=|!|<[=!])/.test(kind) ? "" : inner
    }
    default:
      return char
  }
}

const repeated = (reader: Reader, one: string): string => {
  const rest = reader.text.slice(reader.at)
  const quantifier = /^(?:[*+?]|\{(\d*)(?:,(\d*))?\})\??/.exec(rest)
  if (quantifier === null) return one
  reader.at += quantifier[0].length
  if (quantifier[0].startsWith("{")) return one.repeat(Number(quantifier[1] ?? 1))
  return quantifier[0].startsWith("+") ? one : ""
}

const sequence = (reader: Reader): string => {
  let made = ""
  while (reader.at < reader.text.length && reader.text[reader.at] !== "|" && reader.text[reader.at] !== ")") {
    made += repeated(reader, atom(reader))
  }
  return made
}

const choice = (reader: Reader): string => {
  let chosen = sequence(reader)
  while (reader.text[reader.at] === "|") {
    reader.at++
    const other = sequence(reader)
    if (chosen === "") chosen = other
  }
  return chosen
}

/** A text that fits the pattern; undefined where none is found. */
export const textFitting = (source: string, liked: ReadonlyArray<string> = []): string | undefined => {
  let pattern: RegExp
  try {
    pattern = new RegExp(source.replaceAll("(?P<", "(?<"))
  } catch {
    return undefined
  }
  const known = [...liked, ...candidates].find((text) => fits(pattern, text))
  if (known !== undefined) return known
  const made = choice({ text: source, at: 0 })
  const near = made.replace(/^1{4}(.)1[12]?(.)1{1,2}/, "2024$102$219")
  return [near, made].find((text) => text !== "" && fits(pattern, text))
}
