import { Effect } from "effect"
import { Component } from "../component/Component.ts"
import type { RunError } from "../component/RunError.ts"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import type { Manifest } from "../manifest/Manifest.ts"
import { dynamicStreams, type GeneratedStream } from "./DynamicStreams.ts"
import { pure } from "./pure.ts"
import type { Run } from "./Run.ts"

const list = (value: Value | undefined): ReadonlyArray<PlainDict> =>
  Array.isArray(value) ? value.filter((item) => item !== null && isPlainDict(item)) : []

/** The streams that stand in a manifest; those with a condition as `isMet` says. */
export const writtenStreams = (manifest: Manifest, isMet: (condition: string) => boolean): ReadonlyArray<Component> =>
  list(manifest.data["streams"]).flatMap((data, index) => {
    const component = new Component(data, `streams[${index}]`)
    if (component.type !== "ConditionalStreams") return [component]
    return isMet(component.optionalText("condition") ?? "") ? component.children("streams") : []
  })

/** The streams of a manifest that are made of templates. Asks the API where a resolver does. */
export const generatedStreams = (
  run: Run,
  manifest: Manifest
): Effect.Effect<ReadonlyArray<GeneratedStream>, RunError> =>
  Effect.map(
    Effect.forEach(list(manifest.data["dynamic_streams"]), (data, index) =>
      dynamicStreams(run, new Component(data, `dynamic_streams[${index}]`), index)
    ),
    (all) => all.flat()
  )

/** The streams that stand in a manifest and are there with the run's config. */
export const fixedStreams = (run: Run, manifest: Manifest): Effect.Effect<ReadonlyArray<Component>, RunError> =>
  pure(() => writtenStreams(manifest, (condition) => run.expressions.condition(condition, {})))

/** All streams of a manifest. */
export const allStreams = Effect.fnUntraced(function* (run: Run, manifest: Manifest) {
  const fixed = yield* fixedStreams(run, manifest)
  const generated = yield* generatedStreams(run, manifest)
  return [...fixed, ...generated.map(({ component }) => component)]
})
