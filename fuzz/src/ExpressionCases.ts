import { readFileSync } from "node:fs"
import type { ExpressionCase } from "./Case.ts"
import { isList, type Json } from "./Json.ts"
import { knownExpressions } from "./ManifestCases.ts"
import { anyValue, type Random } from "./Mutate.ts"

const golden: Json = JSON.parse(readFileSync(new URL("../../libs/airbyte/golden/golden.json", import.meta.url), "utf8"))

const known: ReadonlyArray<string> = [
  ...knownExpressions(),
  ...(isList(golden) ? golden.flatMap((row) => (isList(row) && typeof row[2] === "string" ? [row[2]] : [])) : [])
]

const pieces: ReadonlyArray<string> = [
  ..."{{ }} {% %} {# #} {{- -}} ( ) [ ] { } . , : | ~ + - * / // % ** == != < <= = if else elif endif for in endfor set is not and or".split(
    " "
  ),
  ..."config record loop a b list 0 1 2.5 10**9 9**9**9 'x'*10**9 'a{2}' none true length join map select int string tojson replace sort".split(
    " "
  ),
  ..."now_utc() duration('P1D') format_datetime strftime get items append split regex_search regex_replace range namespace dict recursive".split(
    " "
  ),
  ..."'(a*)*b' 'x'*1000 ljust zfill center format indent batch slice round list groupby unique reverse sum macro endmacro call".split(
    " "
  ),
  "\n",
  "\\",
  "é😀",
  "__class__",
  "constructor",
  "\u0000"
]

/** A template of the real ones with something changed, or one of pieces of the language. */
export const expressionCase = (random: Random): ExpressionCase => {
  const context = {
    config: { a: anyValue(random), b: anyValue(random), list: [1, "x", null] },
    record: { id: 5, name: "n", lines: [{ q: 1 }] }
  }
  let template = random.pick(known)
  if (random.below(4) === 0) {
    const chosen = Array.from({ length: random.below(25) }, () => random.pick(pieces)).join(random.pick([" ", ""]))
    template = random.pick([chosen, `{{ ${chosen} }}`, `{% ${chosen} %}`])
  }
  for (let slip = random.below(5); slip > 0; slip--) {
    const at = random.below(template.length + 1)
    const other = random.pick(known)
    const from = random.below(other.length + 1)
    template = random.pick([
      template.slice(0, at) + random.pick(pieces) + template.slice(at),
      template.slice(0, at) + template.slice(at + 1 + random.below(4)),
      template.slice(0, at) + other.slice(from, from + random.below(20)) + template.slice(at),
      template + other,
      template.slice(0, at) + template.slice(at).repeat(random.pick([2, 2, 3, 50]))
    ])
  }
  return { kind: "expression", template: template.slice(0, 20_000), context }
}
