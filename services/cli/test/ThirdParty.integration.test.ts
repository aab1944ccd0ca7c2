// Others read what Tributary writes: a consumer in Python, with the deserializers that Confluent publishes.
import { spawn } from "node:child_process"
import { join } from "node:path"
import { text as textOf } from "node:stream/consumers"
import { findKafka } from "@tributary/kafka/testing"
import { findRegistry } from "@tributary/schema-registry/testing"
import { pythonWith } from "@tributary/testkit"
import { afterAll, assert, describe, it } from "vitest"
import { endAll, folder, lines, removeFolders, startApi, stopApis } from "./support.ts"

const python = pythonWith("confluent-kafka-2.16.0", "confluent-kafka[avro,json,schemaregistry]==2.16.0")
const kafka = "missing" in python ? python : await findKafka()
const registry = "missing" in kafka ? kafka : await findRegistry()
const missing = "missing" in registry ? registry.missing : undefined

afterAll(async () => {
  await endAll()
  await stopApis()
  removeFolders()
  if ("server" in kafka) await kafka.server?.stop()
  if ("server" in registry) await registry.server?.stop()
})

/** What the API sends, as text, for there are numbers that no program's numbers hold. */
const records = [
  '{"id":9007199254740993,"total":"12345678901234567.89","name":"Zoë 李小龙 😀","paid":true,"price":1.5,"at":"2026-01-31T12:00:00.123456+02:00"}',
  '{"id":-9223372036854775808,"total":0.10,"name":null,"paid":false,"price":-0.1,"day":"1969-12-31","u":18446744073709551615}',
  '{"id":9223372036854775807,"lines":[{"sku":"a","price":1.50}],"late":12345678901234567890,"price":2}',
  '{"id":3,"total":null,"name":"quote \\" and \\\\ and \\u00e9","late":"text","a-b":1,"price":"free"}'
]
const api = async () => {
  const server = await startApi()
  server.on("/orders", (_request, response) => {
    response.writeHead(200, { "content-type": "application/json" })
    response.end(`[${records.join()}]`)
  })
  return server
}

const connector = (id: string, url: string, format: string): string => `connector: ${id}
http: { base_url: "${url}" }
streams:
  orders:
    path: /orders
    primary_key: id
    poll: every 1 hour
    schema:
      id: int64
      total: decimal(38, 2)?
      at: timestamp(6)?
      day: date?
      u: uint64?
    topic: { format: ${format}, partitions: 2 }
`

const consumed = async (topic: string, form: string): Promise<ReadonlyMap<string, unknown>> => {
  assert("python" in python && "brokers" in kafka && "url" in registry)
  const child = spawn(
    python.python,
    [
      join(import.meta.dirname, "fixtures", "consume.py"),
      kafka.brokers.join(),
      registry.url,
      topic,
      String(records.length),
      form
    ],
    { stdio: ["ignore", "pipe", "pipe"] }
  )
  const [out, err] = await Promise.all([textOf(child.stdout), textOf(child.stderr)])
  const found = lines(out).map((line): { readonly key: string; readonly value: unknown } => JSON.parse(line))
  assert.strictEqual(found.length, records.length, err)
  return new Map(found.map(({ key, value }) => [key, value]))
}

/** Publishes the records once with the real command, and a second time nothing. */
const publish = async (id: string, format: string): Promise<void> => {
  assert("brokers" in kafka && "url" in registry)
  const { url } = await api()
  const { run } = folder({ [`${id}.yaml`]: connector(id, url, format) })
  const servers = { TRIBUTARY_KAFKA_BROKERS: kafka.brokers.join(), TRIBUTARY_REGISTRY_URL: registry.url }
  const { code, err } = await run(["run", "--once"], servers).ended
  assert.strictEqual(code, 0, err)
}

const unique = (name: string): string => `${name}${Math.round(performance.timeOrigin + performance.now()).toString(36)}`

describe.skipIf(missing !== undefined)(
  `a consumer in Python${missing === undefined ? "" : ` (skipped: ${missing})`}`,
  () => {
    it("reads Avro values as they were sent", { timeout: 240_000 }, async () => {
      const id = unique("avro")
      await publish(id, "avro")
      const nothing = {
        total: null,
        at: null,
        day: null,
        u: null,
        name: null,
        paid: null,
        price: null,
        lines: null,
        late: null,
        a_b: null,
        _extra: {},
        _nulls: []
      }
      assert.deepStrictEqual(
        await consumed(`raw.${id}.orders`, "avro"),
        new Map<string, unknown>([
          [
            "9007199254740993",
            {
              ...nothing,
              id: "int 9007199254740993",
              total: "decimal 12345678901234567.89",
              name: "Zoë 李小龙 😀",
              paid: true,
              at: "time 2026-01-31T10:00:00.123456+00:00",
              // One of the values of this field is a text, so all are JSON.
              price: "1.5"
            }
          ],
          [
            "-9223372036854775808",
            {
              ...nothing,
              id: "int -9223372036854775808",
              total: "decimal 0.10",
              paid: false,
              price: "-0.1",
              day: "time 1969-12-31",
              u: "decimal 18446744073709551615",
              _nulls: ["name"]
            }
          ],
          [
            "9223372036854775807",
            {
              ...nothing,
              id: "int 9223372036854775807",
              price: "2",
              lines: '[{"sku":"a","price":1.50}]',
              late: "12345678901234567890"
            }
          ],
          [
            "3",
            {
              ...nothing,
              id: "int 3",
              name: 'quote " and \\ and é',
              price: '"free"',
              late: '"text"',
              a_b: "int 1",
              _nulls: ["total"]
            }
          ]
        ])
      )
    })

    it("reads JSON values and finds that they keep to their schema", { timeout: 240_000 }, async () => {
      const id = unique("json")
      await publish(id, "json_schema")
      const found = await consumed(`raw.${id}.orders`, "json")
      assert.deepStrictEqual(found.get("-9223372036854775808"), {
        id: "int -9223372036854775808",
        total: "float 0.1",
        name: null,
        paid: false,
        price: "float -0.1",
        day: "1969-12-31",
        u: "int 18446744073709551615"
      })
      assert.deepStrictEqual(found.get("9223372036854775807"), {
        id: "int 9223372036854775807",
        lines: [{ sku: "a", price: "float 1.5" }],
        late: "int 12345678901234567890",
        price: "int 2"
      })
    })
  }
)
