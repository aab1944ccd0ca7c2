import { ExpressionError, parseJson } from "@tributary/airbyte"
import { interpolate, repr } from "@tributary/airbyte/expression"
import type { ExpressionCase, Outcome, Wrong } from "./Case.ts"
import type { Json } from "./Json.ts"

const ports = {
  nowMicros: () => 1_709_212_455_167_089,
  uuid: () => "9b2f8f5e-3d1c-4c57-8f6a-0a1b2c3d4e5f",
  random: () => 0.5
}
const limits = { steps: 2_000_000, size: 20_000_000 }
/** Milliseconds that a template with these limits may take on a machine with other things to do. */
const longest = 15_000

export const runExpression = ({ context, template }: ExpressionCase): Pick<Outcome, "word" | "wrong"> => {
  const wrong: Array<Wrong> = []
  const parsed = (value: Json) => parseJson(JSON.stringify(value))
  const started = performance.now()
  let word = "a value"
  try {
    const names = Object.fromEntries(Object.entries(context).map(([name, value]) => [name, parsed(value)]))
    const value = interpolate(template, names, { ports, limits })
    const size = typeof value === "string" ? value.length : repr(value).length
    if (size > 2 * limits.size)
      wrong.push({ name: "the output of an expression has no bound", detail: `${size} characters` })
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    word = error.kind
    if (error.line < 1 || error.column < 1 || error.reason === "" || error.line > template.split("\n").length) {
      wrong.push({ name: "an expression's error does not name its place", detail: error.message })
    }
  }
  const took = performance.now() - started
  if (took > longest) wrong.push({ name: "an expression has no bound in time", detail: `${Math.round(took)} ms` })
  return { word, wrong }
}
