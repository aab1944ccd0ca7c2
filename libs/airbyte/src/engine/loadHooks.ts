import { importModule } from "@tributary/connector"
import { Effect, Predicate } from "effect"
import { hookSlots, type ManifestHooks } from "../component/Hooks.ts"

const slots = [...new Set(Object.values(hookSlots).map(([slot]) => slot))]

const isFunction = (value: unknown): boolean => typeof value === "function"

const isHooks = (value: unknown): value is ManifestHooks =>
  Predicate.isObject(value) &&
  Object.entries(value).every(
    ([slot, byClass]) =>
      slots.some((known) => known === slot) && Predicate.isObject(byClass) && Object.values(byClass).every(isFunction)
  )

/** Loads what stands for a manifest's components in Python. Fails with what is wrong, after the file's name. */
export const loadHooks = Effect.fnUntraced(function* (path: string): Effect.fn.Return<ManifestHooks, string> {
  const loaded = yield* importModule(path)
  const exported: unknown = Predicate.isObject(loaded) && "hooks" in loaded ? loaded.hooks : undefined
  if (isHooks(exported)) return exported
  return yield* Effect.fail(
    `does not export hooks. Write: export const hooks: ManifestHooks = { ${slots[0]}: { "source_x.components.Foo": … } }; slots are ${slots.join(", ")}.`
  )
})
