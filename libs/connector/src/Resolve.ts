import { LosslessJson } from "@tributary/codec"
import type { SecretError, Secrets } from "@tributary/secrets"
import { Effect, Redacted } from "effect"
import { BadSetting } from "./SourceError.ts"

const reference = /\$\{[^}]*\}/gu

export const hasReference = (template: string): boolean => template.search(reference) >= 0

/** A setting with its references replaced, and what they stand for. */
export interface Resolved<A> {
  readonly value: A
  readonly secrets: ReadonlyArray<string>
}

/** Replaces references in settings. What they stand for may be secret. */
export interface Resolve {
  readonly text: (template: string, setting: string) => Effect.Effect<Resolved<string>, BadSetting>
  /** The same in every text of a value. */
  readonly json: (value: LosslessJson.Json, setting: string) => Effect.Effect<Resolved<LosslessJson.Json>, BadSetting>
}

/** Replaces references with what they stand for today; files are relative to `base`. */
export const resolver = (secrets: Secrets["Service"], base: string): Resolve => {
  const text = Effect.fnUntraced(function* (
    template: string,
    setting: string
  ): Effect.fn.Return<Resolved<string>, BadSetting> {
    const found: Array<string> = []
    let value = ""
    let end = 0
    for (const { 0: name, index } of template.matchAll(reference)) {
      const secret = yield* secrets
        .secret(name, base)
        .pipe(
          Effect.mapError(
            ({ failureClass, message }: SecretError) => new BadSetting({ setting, problem: message, failureClass })
          )
        )
      found.push(Redacted.value(secret))
      value += template.slice(end, index) + Redacted.value(secret)
      end = index + name.length
    }
    return { value: value + template.slice(end), secrets: found }
  })
  const json = Effect.fnUntraced(function* (
    value: LosslessJson.Json,
    setting: string
  ): Effect.fn.Return<Resolved<LosslessJson.Json>, BadSetting> {
    if (typeof value === "string") return yield* text(value, setting)
    if (typeof value !== "object" || value === null || value instanceof LosslessJson.JsonNumber) {
      return { value, secrets: [] }
    }
    const found: Array<string> = []
    const entries: Array<readonly [string, LosslessJson.Json]> = []
    for (const [name, member] of Object.entries(value)) {
      const resolved: Resolved<LosslessJson.Json> = yield* json(member, `${setting}.${name}`)
      entries.push([name, resolved.value])
      found.push(...resolved.secrets)
    }
    return {
      value: Array.isArray(value) ? entries.map(([, member]) => member) : Object.fromEntries(entries),
      secrets: found
    }
  })
  return { text, json }
}
