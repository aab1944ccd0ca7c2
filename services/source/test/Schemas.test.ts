import { rejectedHeaders } from "@tributary/domain"
import { RegistryError, RegistryUnreachable, SchemaRegistry, valueDecoder } from "@tributary/schema-registry"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { answer, connector, everything, run, serve, stage, text, until, withServices } from "./support.ts"

const pages = [
  { body: '{"data":[{"id":9007199254740993,"total":12.50},{"id":"x"}],"next":"2"}', name: "first" },
  { body: '{"data":[{"id":2,"name":"Zoë","big":18446744073709551615}],"next":null}', name: "last" }
]
const api = serve((request, response) =>
  answer(response, pages[request.url?.includes("cursor=2") === true ? 1 : 0]!.body)
)
const settings = (url: string, topic: Record<string, unknown>) =>
  connector(url, { items: { schema: { id: "int64", total: "decimal(18, 2)?" }, topic } })

/** Values of the raw topic, decoded. */
const decoded = Effect.gen(function* () {
  const records = yield* everything("raw.shop.items")
  const { values } = yield* (yield* valueDecoder).decode(records.map(({ value }) => value ?? new Uint8Array()))
  return {
    first: records.map(({ value }) => value?.[0]),
    keys: records.map(({ key }) => text(key)),
    values: values.map(text)
  }
})

describe("a source whose raw topic is what others read", () => {
  it.live("writes values as its file says, and rejects what breaks the schema as it was sent", () =>
    withServices(
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* run(settings(yield* api, { format: "avro" }), true), [])
        assert.deepStrictEqual(yield* decoded, {
          first: [0, 0],
          keys: ["9007199254740993", "2"],
          values: ['{"id":9007199254740993,"total":12.50}', '{"id":2,"name":"Zoë","big":18446744073709551615}']
        })
        const [letter] = yield* everything("dead.shop.items")
        assert.strictEqual(text(letter?.value ?? null), '{"id":"x"}')
        assert.deepStrictEqual(
          [letter?.headers[rejectedHeaders.code], letter?.headers[rejectedHeaders.stage]],
          ["type_mismatch", "source"]
        )
      })
    )
  )

  it.live("leaves them JSON where a transform makes the topic that others read", () =>
    withServices(
      Effect.gen(function* () {
        yield* run(settings(yield* api, { format: "avro", name: "orders" }), true)
        assert.deepStrictEqual(
          (yield* everything("raw.shop.items")).map(({ value }) => text(value)),
          ['{"id":9007199254740993,"total":12.50}', '{"id":"x"}', '{"id":2,"name":"Zoë","big":18446744073709551615}']
        )
      })
    )
  )

  it.live("waits for a registry that is away, and reads on where it was", () =>
    withServices(
      Effect.gen(function* () {
        const registry = yield* SchemaRegistry
        let isAway = true
        const gone = new RegistryError({
          reason: new RegistryUnreachable({ registry: "there", action: "read", detail: "no answer" })
        })
        const away = SchemaRegistry.of({
          ...registry,
          latest: (subject) => (isAway ? Effect.fail(gone) : registry.latest(subject))
        })
        const source = yield* Effect.forkChild(
          Effect.provideService(run(settings(yield* api, { format: "avro" }), false), SchemaRegistry, away)
        )
        const waiting = yield* until(stage(), (found) => found?.state === "retrying")
        assert.include(waiting?.problem?.message, "The schema registry there cannot read")
        assert.deepStrictEqual(yield* everything("raw.shop.items"), [])
        isAway = false
        yield* until(everything("raw.shop.items"), (records) => records.length === 2)
        yield* Fiber.interrupt(source)
        assert.deepStrictEqual((yield* decoded).keys, ["9007199254740993", "2"])
      })
    )
  )
})
