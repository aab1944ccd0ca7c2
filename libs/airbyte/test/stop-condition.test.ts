import { assert, it } from "@effect/vitest"
import { readsVariable, type Safety, stopSafety } from "../src/component/StopCondition.ts"

/** Conditions, the smallest page that may be asked for, and what airbyte-cdk 7.39.1 says of them (`classify_stop_condition`). */
const known: ReadonlyArray<readonly [condition: string, minimum: number, safety: Safety]> = [
  ["{{ last_page_size < 100 }}", 1, "truncates"],
  ["{{ last_page_size < page_size }}", 1, "safe"],
  ["{{ last_page_size == 0 }}", 1, "safe"],
  ["{{ not last_page_size }}", 1, "unknown"],
  ["{{ last_page_size < 5 }}", 5, "safe"],
  ["{{ last_page_size <= 5 }}", 5, "truncates"],
  ["{{ 100 > last_page_size }}", 1, "truncates"],
  ["{{ last_page_size > 3 }}", 1, "safe"],
  ["{{ not (last_page_size >= 100) }}", 1, "unknown"],
  ["{{ last_page_size - 100 < 0 }}", 1, "unknown"],
  ["{{ last_page_size < config['page_size'] }}", 1, "truncates"],
  ["{{ last_page_size < [page_size, 100] | max }}", 1, "unknown"],
  ["{{ last_page_size < page_size | int }}", 1, "safe"],
  ["{{ not response.next }}", 1, "safe"],
  ["{{ response.data | length < 100 }}", 1, "unknown"],
  ["{{ 100 > response.data | length }}", 1, "unknown"],
  ["{{ response.count > 100 }}", 1, "safe"],
  ["{% if last_page_size < 100 %}true{% endif %}", 1, "truncates"],
  ["{% if last_page_size < 100 %}false{% endif %}", 1, "unknown"],
  ["{% if last_page_size < 100 %}true{% else %}false{% endif %}", 1, "unknown"],
  ["{{ last_page_size < 100 or not response.next }}", 1, "truncates"],
  ["{{ last_page_size == 0 and response.more == False }}", 1, "safe"],
  ["x{{ last_page_size < 100 }}", 1, "unknown"],
  ["{{ last_page_size < ", 1, "unknown"],
  ["{{ last_page_size == 10 }}", 1, "unknown"],
  ["{{ last_page_size | int < 100 }}", 1, "truncates"],
  ["{{ last_page_size < last_page_size }}", 1, "unknown"],
  ["{{ last_page_size in [0] }}", 1, "unknown"],
  ["{{ 0 < last_page_size < 100 }}", 1, "truncates"],
  ["{{ (last_page_size < 100) | string }}", 1, "unknown"],
  ["{{ last_page_size if response.a < 3 else 1 }}", 1, "unknown"],
  ["{{ last_page_size < 2.0 }}", 5, "truncates"],
  ["{{ last_page_size }}", 1, "unknown"]
]

it("whether smaller pages can end a walk too early is judged as the CDK judges it", () => {
  for (const [condition, minimum, safety] of known) {
    assert.strictEqual(stopSafety(condition, minimum), safety, condition)
  }
})

it("a variable is told from a member of the same name", () => {
  assert.isTrue(readsVariable("{{ last_page_size < page_size }}", "page_size"))
  assert.isFalse(readsVariable("{{ last_page_size < config['page_size'] + config.page_size }}", "page_size"))
  assert.isFalse(readsVariable("{{ page_size <", "page_size"))
})
