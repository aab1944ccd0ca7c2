import { assert, it } from "@effect/vitest"
import { Schema } from "effect"
import { environment } from "../golden/harness.ts"
import { compileExpression } from "../src/expression/CompiledTemplate.ts"
import { ExpressionError } from "../src/expression/ExpressionError.ts"
import { interpolate } from "../src/expression/Interpolation.ts"
import type { Context, Value } from "../src/expression/Value.ts"

const context = (): Context => ({
  config: { a: 1, b: "two", list: [1, "x", null], nested: { deep: { deeper: [] } } },
  record: { id: 5, name: "n", lines: [{ q: 1 }, { q: 2 }] }
})

const small = { ...environment, limits: { steps: 200_000, size: 2_000_000 } }

/** Evaluates; the outcome must be a value, or an error that names its place. */
const attempt = (template: string): void => {
  try {
    interpolate(template, context(), small)
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    assert.isAtLeast(error.line, 1)
    assert.isAtLeast(error.column, 1)
    assert.isAtMost(error.line, template.split("\n").length)
    assert.isAbove(error.reason.length, 0)
    assert.include(error.message, `line ${error.line}, column ${error.column}`)
  }
}

const Seed = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 }))

/** Numbers below a bound, the same for the same seed. */
const generator = (seed: number): ((bound: number) => number) => {
  let state = seed
  return (bound) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0
    const mixed = Math.imul(state ^ (state >>> 12), 0x297a2d39)
    return ((mixed ^ (mixed >>> 15)) >>> 0) % bound
  }
}

const pieces = [
  ..."{{ }} {% %} {# #} {{- -}} {%- ( ) [ ] { } . , : | ~ + - * / // % ** == != < > <= >= = if else elif endif for in endfor set endset is not and or".split(
    " "
  ),
  ..."config record loop a b list 0 1 2.5 9999999999 'x' \"y\" 'a{2}' none true length join map select int string tojson replace sort".split(
    " "
  ),
  ..."now_utc() duration format_datetime strftime get items append split regex_search defined macro endmacro call filter raw endraw with".split(
    " "
  ),
  "\n",
  " ",
  "\\",
  "'",
  "é😀"
]

it.prop("text made of pieces of the language never crashes", [Seed], ([seed]) => {
  const pick = generator(seed)
  for (let round = 0; round < 20; round++) {
    const chosen = Array.from({ length: pick(25) }, () => pieces[pick(pieces.length)] ?? "")
    attempt(chosen.join(" "))
    attempt(`{{ ${chosen.join(" ")} }}`)
    attempt(chosen.join(""))
  }
})

it.prop("any text never crashes", [Schema.String, Seed], ([text, seed]) => {
  const pick = generator(seed)
  const noise = Array.from({ length: pick(40) }, () => String.fromCharCode(pick(pick(4) === 0 ? 65_536 : 128))).join("")
  for (const source of [text, noise]) {
    attempt(source)
    attempt(`{{ ${source} }}`)
    attempt(`{% ${source} %}`)
    attempt(`{{ ['a', 'ab'] | map('regex_search', '${source.replaceAll("'", "")}') | list }}`)
  }
})

/** Templates that would run for ever, or fill the memory, were there no bounds. */
const greedy = [
  "{{ 'x' * 10 ** 9 }}",
  "{{ [0] * 10 ** 9 }}",
  "{{ 9 ** 9 ** 9 }}",
  "{{ (9 ** 9999) ** 99 }}",
  "{{ 'a'.ljust(10 ** 9) }}",
  "{{ '%1000000000d' % 5 }}",
  "{{ '{:1000000000}'.format(5) }}",
  "{{ 'x'.zfill(10 ** 12) }}",
  "{{ ('a' * 30) | regex_search('(a*)*b') }}",
  "{{ ('a' * 40) | regex_search('((a|a)*)*$b') }}",
  "{{ ('x' * 5000) | regex_search('(x+x+)+y') }}",
  "{% set l = [1] %}{% for i in l %}{{ l.append(i) or '' }}{% endfor %}",
  "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
  "{% for i in [[]] recursive %}{{ loop([[]]) }}{% endfor %}",
  "{% set l = [] %}{% set _ = l.append(l) %}{{ l }}{{ l | tojson }}",
  "{% set s = namespace(x='aaaaaaaaaa') %}{% for i in 'x' * 100 %}{% set s.x = s.x ~ s.x %}{% endfor %}{{ s.x }}",
  "{% for a in 'x' * 3000 %}{% for b in 'x' * 3000 %}{% for c in 'x' * 3000 %}.{% endfor %}{% endfor %}{% endfor %}",
  "{{ 'a,' * 100000 | replace(',', 'b' * 100000) }}",
  `{{ ${"(".repeat(5000)}1${")".repeat(5000)} }}`,
  `{{ ${"-".repeat(20_000)}1 }}`,
  `{{ ${"1+".repeat(50_000)}1 }}`,
  `{{ ${"[".repeat(3000)} }}`,
  `${"{% if 1 %}".repeat(3000)}`,
  "(".repeat(100_000),
  `{{ '${"[".repeat(10_000)}' }}`,
  "{{ 'x' | indent(10 ** 9) }}",
  "{{ 'a' | center(10 ** 9) }}",
  "{{ [1] | batch(10 ** 9, 'x') | list | length }}",
  "{{ [1] | slice(10 ** 9) | list | length }}",
  "{{ 1.5 | round(10 ** 9) }}",
  "{{ now_utc() + duration('P9999999999999Y') }}",
  "{{ now_utc().strftime('%999999999Y') }}"
]

it("nothing takes time or memory without bound", () => {
  for (const template of greedy) {
    const before = performance.now()
    attempt(template)
    assert.isBelow(performance.now() - before, 5000, template.slice(0, 60))
  }
})

it("data that is nested too deep ends the evaluation", () => {
  let deep: Array<Value> = []
  for (let level = 0; level < 100_000; level++) deep = [deep]
  for (const template of ["{{ config.deep }}", "{{ config.deep | tojson }}", "{{ config.deep == config.other }}"]) {
    let other: Array<Value> = []
    for (let level = 0; level < 100_000; level++) other = [other]
    try {
      interpolate(template, { config: { deep, other } }, environment)
      assert.fail(template)
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error
      assert.strictEqual(error.kind, "RecursionError")
    }
  }
})

it("an error names the place, what was found and what was expected", () => {
  const cases: ReadonlyArray<readonly [string, number, number, string]> = [
    ["{{ 1 + }}", 1, 8, "unexpected 'end of print statement'"],
    ["a\n{{ config.a // 0 }}", 2, 13, "integer division or modulo by zero"],
    ["{{ (1, 2 }}", 1, 10, "expected ')'"],
    ["{% if 1 %}\n  x", 2, 4, "Unexpected end of template"],
    ["{{ record.id | nope }}", 1, 16, "No filter named 'nope'"],
    ["{{ 'abc }}", 1, 4, "unexpected char"],
    ["{{ config.list | regex_search(5) ~ ('' | int(base='x')) }}", 1, 18, "first argument must be string"]
  ]
  for (const [template, line, column, reason] of cases) {
    try {
      const value = compileExpression(template).render(context(), environment)
      assert.fail(`${template} gave ${value}`)
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error
      assert.deepStrictEqual([error.line, error.column], [line, column], `${template}: ${error.message}`)
      assert.include(error.reason, reason)
    }
  }
})

it("no prototype can be reached", () => {
  for (const name of [
    "constructor",
    "__proto__",
    "prototype",
    "toString",
    "hasOwnProperty",
    "valueOf",
    "__defineGetter__"
  ]) {
    for (const value of [
      "config",
      "config.list",
      "'text'",
      "5",
      "now_utc",
      "config.get",
      "{}",
      "none",
      "namespace(a=1)",
      "loop"
    ]) {
      for (const form of [
        `${value}.${name}`,
        `${value}['${name}']`,
        `${value} | attr('${name}')`,
        `'{0.${name}}'.format(${value})`
      ]) {
        const template = `{% for i in [1] %}{% if loop.first %}{% endif %}{{ ${form} }}{% endfor %}`
        try {
          assert.isNull(interpolate(template, context(), environment), template)
        } catch (error) {
          if (!(error instanceof ExpressionError)) throw error
          assert.include(["UndefinedError", "SecurityError"], error.kind, template)
        }
      }
    }
  }
  const config = JSON.parse('{"__proto__": {"x": 1}, "constructor": "own"}')
  assert.strictEqual(interpolate("{{ config['constructor'] }}", { config }, environment), "own")
  interpolate("{{ config.update({'__proto__': {'polluted': true}}) }}", { config }, environment)
  assert.isFalse("polluted" in {})
})
