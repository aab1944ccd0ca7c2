import { assert, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { evaluateCase, loadContexts } from "../golden/harness.ts"

/**
 * Where we differ from the CDK on purpose.
 *
 * | what | the CDK | here | why |
 * |---|---|---|---|
 * | output, memory or time without bound | runs out of memory, or hangs | `LimitError` | one template may not stop the others |
 * | an emoji through `tojson` or `string` | two lone surrogates | the emoji | lone surrogates cannot be sent |
 * | a method printed without being called | an address | another address | means nothing in either |
 * | `lipsum()` | random text | unknown name | means nothing in a manifest |
 * | `{% autoescape %}` | HTML escaping | `TemplateSyntaxError` | no manifest writes HTML |
 * | `\N{NAME}` in a text literal | the character | `TemplateSyntaxError` | needs a table of all names |
 * | arithmetic with infinity in a constant | `NameError` | infinity | a fault of Jinja's compiler |
 * | local time, where no zone is given | the host's zone | UTC | the same on every host |
 * | order of keys that are whole numbers in a plain object | as received | ascending | JavaScript's objects; a `PyDict` keeps the order |
 */
const readJson = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../golden/${name}`, import.meta.url), "utf8"))

type Cases = ReadonlyArray<readonly [context: string, mode: string, expression: string, outcome: ReadonlyArray<string>]>
const isCases = (value: unknown): value is Cases =>
  Array.isArray(value) && value.every((row) => Array.isArray(row) && row.length === 4)
const isContexts = (value: unknown): value is Parameters<typeof loadContexts>[0] =>
  typeof value === "object" && value !== null

it("every golden expression gives what the CDK gives", () => {
  const cases = readJson("golden.json")
  const raw = readJson("contexts.json")
  assert.isTrue(isCases(cases))
  assert.isTrue(isContexts(raw))
  if (!isCases(cases) || !isContexts(raw)) return
  const contexts = loadContexts(raw)
  const different: Array<string> = []
  const distinct = new Set<string>()
  for (const [context, mode, expression, expected] of cases) {
    distinct.add(JSON.stringify(expression))
    const found = evaluateCase(mode, expression, contexts(context))
    if (JSON.stringify(found.slice(0, 2)) !== JSON.stringify(expected)) {
      different.push(
        `${context} ${mode} ${JSON.stringify(expression)}: expected ${expected.join(" ")}, found ${found.join(" ")}`
      )
    }
  }
  assert.deepStrictEqual(different, [])
  assert.isAtLeast(distinct.size, 5000)
})
