import { assert, it } from "@effect/vitest"
import { environment } from "../golden/harness.ts"
import { compileExpression } from "../src/expression/CompiledTemplate.ts"
import { PyDict, StreamSlice } from "../src/expression/Dict.ts"
import { interpolate } from "../src/expression/Interpolation.ts"
import { numberFromJson, toPlain } from "../src/expression/Plain.ts"
import { portsAt } from "../src/expression/Ports.ts"

const value = (template: string, context = {}) => toPlain(interpolate(template, context, environment))

it("values come out as plain data", () => {
  assert.deepStrictEqual(value("{{ [1, 1.0, 2.5, 'x', none, true, (1, 2)] }}"), [1, 1, 2.5, "x", null, true, [1, 2]])
  assert.deepStrictEqual(value("{{ {'a': {1: 'b'}} }}"), { a: { "1": "b" } })
  assert.strictEqual(value("{{ 2 ** 70 }}"), 2n ** 70n)
  assert.strictEqual(value("{{ now_utc() }}"), "2024-02-29 13:14:15.167089+00:00")
  assert.deepStrictEqual(value("{1, 2}"), [1, 2])
})

it("numbers of JSON text keep their type and digits", () => {
  const config = PyDict.of([
    ["whole", numberFromJson("1.0")],
    ["int", numberFromJson("1")],
    ["long", numberFromJson("12345678901234567890")]
  ])
  const printed = (name: string) => compileExpression(`{{ config.${name} }}`).render({ config }, environment)
  assert.deepStrictEqual(["whole", "int", "long"].map(printed), ["1.0", "1", "12345678901234567890"])
})

it("a template is compiled once, and evaluated with what it is given", () => {
  const template = compileExpression("{{ config.n + 1 }}")
  assert.strictEqual(compileExpression("{{ config.n + 1 }}"), template)
  assert.deepStrictEqual(
    [1, 2].map((n) => template.evaluate({ config: { n } }, environment)),
    [2, 3]
  )
  assert.deepStrictEqual([...template.undeclared], ["config"])
})

it("the clock is the caller's", () => {
  const at = (micros: number) => ({ ports: portsAt(() => micros) })
  assert.strictEqual(interpolate("{{ now_utc().year }}", { config: {} }, at(0)), 1970)
  assert.strictEqual(interpolate("{{ today_utc() }}", { config: {} }, at(1_709_212_455_000_000)), "2024-02-29")
  assert.match(String(interpolate("{{ generate_uuid() }}", { config: {} }, at(0))), /^[0-9a-f-]{36}$/)
})

it("a stream slice has its parts as attributes and all of it as items", () => {
  const stream_slice = new StreamSlice({ id: 7 }, { start: "2024-01-01" }, { extra: "e" })
  assert.strictEqual(value("{{ stream_partition.id }}-{{ stream_interval.start }}", { stream_slice }), "7-2024-01-01")
  assert.deepStrictEqual(value("{{ stream_slice.partition }}", { stream_slice }), { id: 7 })
  assert.strictEqual(value("{{ stream_slice.extra_fields.extra }}", { stream_slice }), "e")
})

it("data of the caller that is frozen is not changed", () => {
  const config = Object.freeze({ list: Object.freeze([1]) as never })
  assert.throws(() => interpolate("{{ config.list.append(2) }}", { config }, environment), /SecurityError/)
  assert.throws(() => interpolate("{{ config.clear() }}", { config }, environment), /SecurityError/)
})
