import { assert, it } from "@effect/vitest"
import { environment } from "../golden/harness.ts"
import { compileExpression } from "../src/expression/CompiledTemplate.ts"
import { defaultLimits } from "../src/expression/Meter.ts"
import { str } from "../src/expression/Repr.ts"

it("what is made between evaluations, for each record, never adds up to a limit", () => {
  const value = ["x".repeat(10_000)]
  let made = 0
  while (made <= defaultLimits.size * 1.5) made += str(value).length
  const steps = Array.from({ length: 1000 }, (_, index) => index)
  for (let done = 0; done <= defaultLimits.steps * 1.5; done += steps.length) str(steps)
  assert.strictEqual(str(["x"]), "['x']")
})

it("one evaluation is bounded, also after another one was ended by its bound", () => {
  const huge = compileExpression("{{ 'x' * 30000000 }}")
  for (let time = 0; time < 2; time++)
    assert.throws(() => huge.render({}, environment), /more than 20000000 characters/)
  assert.strictEqual(compileExpression("{{ 'x' * 3 }}").render({}, environment), "xxx")
})
