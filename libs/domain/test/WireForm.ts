import { Arbitrary, Predicate, Schema, SchemaAST } from "effect"
import { shapeOf } from "../src/Setting.ts"

const pick = (values: ReadonlyArray<unknown>): Arbitrary.Arbitrary<unknown> =>
  Arbitrary.map(
    Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: values.length - 1 }))),
    (index) => values[index]
  )

const word = Arbitrary.schema(Schema.String.check(Schema.isPattern(/^[a-z]{6,9}$/u)))
const whole = (maximum: number) => Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum })))
/** Texts that YAML would read as something else if they were not quoted. */
const awkward = [
  "yes",
  "null",
  "~",
  "1.0",
  "0x1f",
  "a: b",
  "# no comment",
  "*a",
  "&a",
  "!t",
  "- x",
  "%",
  "@at",
  "`",
  "'",
  '"',
  " x ",
  "a\nb\n",
  "a\r\n",
  "ü €",
  "\u{1f600}",
  "[a]",
  "{a}",
  "<<",
  "2026-01-01",
  "|",
  "?",
  "true",
  "\\",
  "\t"
]
const text = Arbitrary.flatMap(Arbitrary.schema(Schema.Boolean), (plain) => (plain ? word : pick(awkward)))
const template = Arbitrary.flatMap(Arbitrary.schema(Schema.Boolean), (plain) =>
  plain ? text : Arbitrary.map(word, (name) => `x-\${env:${name}}-\${file:./${name}}`)
)

/** Generators of simple values, by the title of their type. */
const leaves: Readonly<Record<string, Arbitrary.Arbitrary<unknown>>> = {
  name: word,
  "place in an answer": Arbitrary.map(word, (name) => `data.${name}`),
  path: Arbitrary.map(word, (name) => `/${name}`),
  "duration or unlimited": pick(["unlimited", "90 days", "1.5 hours"]),
  "duration or none, until_next_use, unlimited": pick(["none", "until_next_use", "unlimited", "30 seconds", "1 week"]),
  text,
  parameter: Arbitrary.map(word, (name) => `q:${name}`),
  "text, may hold references": template,
  "text on one line, may hold references": Arbitrary.map(template, (value) =>
    String(value).replaceAll(/[\r\n]/gu, " ")
  ),
  "secret reference": Arbitrary.map(word, (name) => `\${env:${name}}`),
  "address, may hold references": Arbitrary.map(word, (host) => `https://${host}.example/v1`),
  "path, may hold references": Arbitrary.map(word, (path) => `/${path}/\${env:${path}}`),
  "header name": Arbitrary.map(word, (name) => `x-${name}`),
  "text without spaces": Arbitrary.map(word, (text) => `${text}-token`),
  duration: Arbitrary.flatMap(whole(1000), (amount) =>
    Arbitrary.map(
      pick(["nanos", "millis", "second", "minutes", "hours", "day", "weeks"]),
      (unit) => `${amount} ${unit}`
    )
  ),
  "whole number": whole(1000),
  pattern: pick(["rate limit", "in (\\d+) seconds"]),
  charset: pick(["iso-8859-1", "UTF-8", "shift_jis"]),
  "status code": pick([404, 503]),
  "form of times": pick(["%s", "%ms", "%Y-%m-%d %H:%M:%S"]),
  "whole number > 0": whole(1_000_000_000),
  // Without -0, which JSON and YAML write as 0
  number: Arbitrary.map(Arbitrary.schema(Schema.Int), (value) => value + 0),
  "number, 0.01 to 1": pick([0.01, 0.5, 1]),
  "true or false": Arbitrary.schema(Schema.Boolean),
  selector: pick(["$", "$[*]", "$.data[*]", "$['a b'][0].x-y"]),
  field: Arbitrary.map(word, (name) => `f.${name}`),
  "field type": pick(["bool", "int8", "uint64", "float64", "decimal(18, 2)", "string", "timestamp(9)", "uuid"]),
  poll: pick(["every 2 seconds", "every 1 day", "cron 0 3 * * *", "cron 0 0 3 * * MON Europe/Berlin"]),
  table: pick(["{connector}.{stream}", "shop.t_{stream}"]),
  column: word,
  view: Arbitrary.map(word, (name) => `v_${name}`),
  topic: word,
  file: pick(["./orders.ts", "steps/x.mjs"]),
  "YAML file": pick(["./manifest.yaml", "shop/m.yml"]),
  "JSON file": pick(["./state.json", "shop/s.json"])
}

/** Generates what a user could write for a setting of this type, with every optional setting present or not. */
export const wireForm = (ast: SchemaAST.AST): Arbitrary.Arbitrary<unknown> => {
  const shape = shapeOf(ast)
  switch (shape._tag) {
    case "Struct":
      return Arbitrary.map(
        Arbitrary.all(
          shape.settings.map((setting) =>
            Arbitrary.map(
              Arbitrary.all([wireForm(setting.ast), Arbitrary.schema(Schema.Boolean)]),
              ([value, isGiven]) => (setting.isRequired || isGiven ? [[setting.name, value] as const] : [])
            )
          )
        ),
        (entries) => Object.fromEntries(entries.flat())
      )
    case "Map":
      return Arbitrary.map(
        Arbitrary.array(Arbitrary.all([wireForm(shape.key), wireForm(shape.value)]), { minLength: 1, maxLength: 3 }),
        (entries) => Object.fromEntries(entries.map(([key, value]) => [String(key), value]))
      )
    case "List":
      return Arbitrary.map(Arbitrary.array(wireForm(shape.item), { minLength: 1, maxLength: 3 }), (items) =>
        Predicate.isString(items[0]) ? [...new Set(items)] : items
      )
    case "Choice":
      return pick(shape.values)
    case "OneOf":
      if (leaves[SchemaAST.resolveTitle(ast) ?? ""] !== undefined) return leaves[SchemaAST.resolveTitle(ast) ?? ""]!
      return Arbitrary.flatMap(pick(shape.members.map((_, index) => index)), (index) =>
        wireForm(shape.members[Number(index)] ?? ast)
      )
    case "Anything":
      return pick([{}, { a: 1, b: ["x", null, { c: true }] }, { text: "${env:WORD} x" }])
    case "Leaf": {
      const title = SchemaAST.resolveTitle(ast) ?? ""
      const bound = /^whole number, 1 to (\d+)$/u.exec(title)?.[1]
      const leaf = bound === undefined ? leaves[title] : whole(Number(bound))
      if (leaf === undefined) throw new Error(`no generator for the type ${title}`)
      return leaf
    }
  }
}
