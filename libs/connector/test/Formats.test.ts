import { gzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { zipSync } from "fflate"
import { answering, connector, failure, keysOf, read, serve, services, source, valuesOf } from "./harness.ts"

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)
const line = (id: number, padding = "") => `{"id":${id},"n":12345678901234567890.10,"t":"${padding}"}`
const lines = (from: number, to: number, padding = "") =>
  numbers(from, to)
    .map((id) => line(id, padding))
    .join("\n")

const readAll = (url: string, stream: Record<string, unknown>) =>
  Effect.flatMap(source(connector(url, { primary_key: "id", ...stream })), (ready) => read(ready))

describe("formats", () => {
  it.live("lines of JSON are read in parts, as they were sent", () =>
    Effect.gen(function* () {
      // More than two parts of 4 MB, with an empty line and Windows' line ends.
      const body = `${lines(0, 60_000, "x".repeat(150))}\r\n\n${line(60_000)}`
      const url = yield* answering(body)
      const pages = yield* readAll(url, { format: "ndjson", records: "$[*]" })
      assert.deepStrictEqual(
        keysOf(pages),
        numbers(0, 60_001).map((id) => String(id))
      )
      assert.isAbove(pages.length, 2)
      assert.strictEqual(valuesOf(pages).at(-1), line(60_000))
      assert.deepStrictEqual(
        pages.map(({ last }) => last),
        pages.map((_, index) => index === pages.length - 1)
      )
      // On from each part.
      for (const [index, { checkpoint }] of pages.entries()) {
        if (checkpoint.walk === undefined) continue
        const ready = yield* source(connector(url, { primary_key: "id", format: "ndjson", records: "$[*]" }))
        const rest = yield* read(ready, checkpoint)
        assert.deepStrictEqual(keysOf(rest), keysOf(pages.slice(index + 1)))
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("a last page in parts that names its own cursor is not published again, nor after a restart", () =>
    Effect.gen(function* () {
      const bodies = { a: lines(0, 30_000, "x".repeat(150)), b: lines(30_000, 60_000, "x".repeat(150)) }
      let asked = 0
      const url = yield* serve((request, response) => {
        asked++
        const isLast = new URL(request.url ?? "", "http://x").searchParams.get("c") === "b"
        response.writeHead(200, { "content-type": "application/x-ndjson", "x-next": "b" })
        // Parts end elsewhere each time.
        const body = Buffer.from(isLast ? bodies.b : bodies.a)
        response.write(body.subarray(0, asked * 1_234_567))
        response.end(body.subarray(asked * 1_234_567))
      })
      const stream = { format: "ndjson", records: "$[*]", pagination: { header: "x-next", param: "c" } }
      const pages = yield* readAll(url, stream)
      assert.strictEqual(asked, 3)
      assert.isAbove(pages.length, 3)
      assert.deepStrictEqual(
        keysOf(pages),
        numbers(0, 60_000).map((id) => String(id))
      )
      for (const [index, { checkpoint, last }] of pages.entries()) {
        if (last) continue
        const ready = yield* source(connector(url, { primary_key: "id", ...stream }))
        assert.deepStrictEqual(keysOf(yield* read(ready, checkpoint)), keysOf(pages.slice(index + 1)), `after ${index}`)
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("a page in parts whose last part has no record is followed from its last record, also after a restart", () =>
    Effect.gen(function* () {
      // A line that is longer than a part ends where the body does.
      const page = (from: number) => `${lines(from, from + 2)}\n${line(from + 2, "x".repeat(5_000_000))}\n`
      const url = yield* serve((request, response) => {
        const after = new URL(request.url ?? "", "http://x").searchParams.get("after")
        const from = after === null ? 0 : Number(after) + 1
        response.writeHead(200, { "content-type": "application/x-ndjson" })
        response.end(from < 6 ? page(from) : "")
      })
      const stream = { format: "ndjson", records: "$[*]", pagination: { last_record: "id", param: "after" } }
      const pages = yield* readAll(url, stream)
      assert.deepStrictEqual(
        keysOf(pages),
        numbers(0, 6).map((id) => String(id))
      )
      assert.isAbove(pages.length, 3)
      for (const [index, { checkpoint, last }] of pages.entries()) {
        if (last) continue
        const ready = yield* source(connector(url, { primary_key: "id", ...stream }))
        assert.deepStrictEqual(keysOf(yield* read(ready, checkpoint)), keysOf(pages.slice(index + 1)), `after ${index}`)
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("a body that breaks off is asked for again, and read on where it broke off", () =>
    Effect.gen(function* () {
      const body = Buffer.from(lines(0, 60_000, "y".repeat(150)))
      let requests = 0
      const url = yield* serve((_request, response) => {
        requests++
        response.writeHead(200, { "content-length": body.length })
        if (requests > 3) return response.end(body)
        response.write(body.subarray(0, requests * 3_000_000 + 17), () => response.socket?.end())
      })
      const stream = { format: "ndjson", records: "$[*]", primary_key: "id" }
      const pages = yield* read(yield* source(connector(url, stream, { retries: 5 })))
      assert.strictEqual(requests, 4)
      assert.deepStrictEqual(
        keysOf(pages),
        numbers(0, 60_000).map((id) => String(id))
      )
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("a body that is another one when it is asked for again is read from its beginning", () =>
    Effect.gen(function* () {
      let version = "a"
      const url = yield* serve((_request, response) => response.end(lines(0, 40_000, version.repeat(150))))
      const stream = { format: "ndjson", records: "$[*]", primary_key: "id" }
      const ready = yield* source(connector(url, stream))
      const [first] = yield* read(ready)
      version = "b"
      const rest = yield* read(ready, first?.checkpoint)
      assert.strictEqual(keysOf(rest).length, 40_000)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("gzip and zip files hold lines, rows or a document", () =>
    Effect.gen(function* () {
      const zip = zipSync({
        "a.jsonl": Buffer.from(lines(0, 3)),
        "empty/": new Uint8Array(),
        "b.jsonl": Buffer.from(`${lines(3, 5)}\n`)
      })
      const csv = zipSync({ "a.csv": Buffer.from("id,x\n1,a\n"), "b.csv": Buffer.from("x,id\nb,2\n") })
      for (const [body, stream, keys] of [
        [gzipSync(lines(0, 3)), { format: "ndjson", unpack: "gzip", records: "$[*]" }, ["0", "1", "2"]],
        [Buffer.from(zip), { format: "ndjson", unpack: "zip", records: "$[*]" }, ["0", "1", "2", "3", "4"]],
        [Buffer.from(csv), { format: "csv", unpack: "zip" }, ["1", "2"]],
        [gzipSync(`{"data":[${line(7)}]}`), { unpack: "gzip" }, ["7"]],
        [Buffer.from(zipSync({ "a.json": Buffer.from('{"data":[{"id":8}]}') })), { unpack: "zip" }, ["8"]]
      ] as const) {
        const url = yield* answering(body, 200, { "content-type": "application/octet-stream" })
        assert.deepStrictEqual(keysOf(yield* readAll(url, stream)), [...keys])
        const cut = yield* answering(body.subarray(0, body.length >> 1))
        const settings = connector(cut, { primary_key: "id", ...stream }, { retries: 0 })
        assert.include(["TruncatedJson", "BadRecords"], (yield* failure(settings)).reason._tag)
        const other = yield* answering("this is no file of any kind")
        const none = connector(other, { primary_key: "id", ...stream }, { retries: 0 })
        assert.strictEqual((yield* failure(none)).reason._tag, "BadRecords")
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("text in another charset is made UTF-8, as its mark, the setting, content-type or its first line says", () =>
    Effect.gen(function* () {
      const latin = (text: string) => Buffer.from(text, "latin1")
      const wide = (text: string) => Buffer.from(text, "utf16le")
      // "日本" in Shift_JIS.
      const japanese = Buffer.from([0x93, 0xfa, 0x96, 0x7b])
      const quoted = (head: string, value: Buffer, tail: string) =>
        Buffer.concat([Buffer.from(head), value, Buffer.from(tail)])
      const json = '{"data":[{"id":"Zoë"}]}'
      const xml = (name: string) => `<?xml version="1.0" encoding="${name}"?><data><id>Zoë</id></data>`
      const ofXml = { format: "xml", records: "$.data" }
      for (const [type, body, stream, key] of [
        ["application/json; charset=ISO-8859-1", latin(json), {}, "Zoë"],
        // A server's default that is not what it sends.
        ["application/json; charset=ISO-8859-1", Buffer.from(json), {}, "Zoë"],
        ["text/csv; charset=us-ascii", Buffer.from("id,x\n€,1"), { format: "csv" }, "€"],
        ['application/json; charset="utf-16le"', wide(json), {}, "Zoë"],
        ["application/json", wide(`\uFEFF${json}`), {}, "Zoë"],
        ["application/json", wide(`\uFEFF${json}`).swap16(), {}, "Zoë"],
        ["application/json; charset=iso-8859-1", Buffer.from(json), { charset: "utf-8" }, "Zoë"],
        ["application/json", quoted('{"data":[{"id":"', japanese, '"}]}'), { charset: "shift_jis" }, "日本"],
        [
          "application/x-ndjson; charset=shift_jis",
          quoted('{"id":"', japanese, '"}'),
          { format: "ndjson", records: "$[*]" },
          "日本"
        ],
        ["text/csv; charset=windows-1252", latin("id,x\n\x80,1"), { format: "csv" }, "€"],
        ["text/csv", wide("\uFEFFid,x\nZoë,1"), { format: "csv" }, "Zoë"],
        ["application/gzip", gzipSync(latin("id\nZoë")), { format: "csv", unpack: "gzip", charset: "latin1" }, "Zoë"],
        [
          "application/zip",
          Buffer.from(zipSync({ a: wide("\uFEFFid\nZoë") })),
          { format: "csv", unpack: "zip" },
          "Zoë"
        ],
        ["application/xml", latin(xml("ISO-8859-1")), ofXml, "Zoë"],
        ["text/xml; charset=utf-8", Buffer.from(xml("ISO-8859-1")), ofXml, "Zoë"],
        ["text/xml; charset=UTF-16LE", wide(xml("UTF-16")), ofXml, "Zoë"]
      ] as const) {
        const url = yield* answering(body, 200, { "content-type": type })
        assert.deepStrictEqual(keysOf(yield* readAll(url, stream)), [key], `${type} ${JSON.stringify(stream)}`)
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("characters may lie in several chunks, and a body in another charset is read on where it broke off", () =>
    Effect.gen(function* () {
      const rows = numbers(0, 32_000).map((id) => `${id},${"é€".repeat(30)}`)
      const body = Buffer.from(`id,t\n${rows.join("\n")}\n`, "utf16le")
      let requests = 0
      const url = yield* serve((_request, response) => {
        response.writeHead(200, { "content-type": "text/csv; charset=utf-16le", "content-length": body.length })
        const inPieces = (from: number): void => {
          if (from >= body.length) return void response.end()
          response.write(body.subarray(from, from + 99_999), () => inPieces(from + 99_999))
        }
        if (++requests > 1) return inPieces(0)
        response.write(body.subarray(0, 3_800_001), () => response.socket?.end())
      })
      const pages = yield* read(yield* source(connector(url, { format: "csv", primary_key: "id" }, { retries: 5 })))
      assert.strictEqual(requests, 2)
      assert.deepStrictEqual(
        keysOf(pages),
        numbers(0, 32_000).map((id) => String(id))
      )
      assert.strictEqual(valuesOf(pages).at(-1), `{"id":"31999","t":"${"é€".repeat(30)}"}`)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live(
    "UTF-8 that is said to be of single bytes stays as it is, wherever its pieces end, and other text does not",
    () =>
      Effect.gen(function* () {
        for (const text of ["id,t\n1,Zoë €\n2,日本 🎉\n", "id,t\n1,plain\n2,Ãa\n", "id,t\n1,ends with ë"]) {
          for (const encoding of ["utf8", "latin1"] as const) {
            const body = Buffer.from(text, encoding)
            // What Latin-1 has no character for cannot be sent in it.
            if (encoding === "latin1" && body.toString("latin1") !== text) continue
            for (let piece = 1; piece <= body.length; piece++) {
              const url = yield* serve((_request, response) => {
                response.writeHead(200, { "content-type": "text/csv; charset=iso-8859-1" })
                for (let at = 0; at < body.length; at += piece) response.write(body.subarray(at, at + piece))
                response.end()
              })
              const pages = yield* readAll(url, { format: "csv" })
              assert.deepStrictEqual(
                valuesOf(pages),
                text
                  .trim()
                  .split("\n")
                  .slice(1)
                  .map((row) => JSON.stringify({ id: row.split(",")[0], t: row.split(",")[1] })),
                `${encoding} in pieces of ${piece}`
              )
            }
          }
        }
      }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("a charset that is not known, or is not that of the body, is said with its place", () =>
    Effect.gen(function* () {
      for (const [type, body, stream, tag, words] of [
        [
          "application/json; charset=klingon",
          "{}",
          {},
          "BadCharset",
          ["content-type", "expected one of the WHATWG", "found klingon"]
        ],
        ["text/csv; charset=klingon", "id\n1", { format: "csv" }, "BadCharset", ["content-type", "found klingon"]],
        [
          "text/csv; charset=shift_jis",
          Buffer.from([0x69, 0x64, 0x0a, 0xff, 0xff]),
          { format: "csv" },
          "BadCharset",
          ["text in shift_jis", "between byte 0 and byte 5"]
        ],
        ["application/json", '{"data":[]} ', { charset: "utf-16le" }, "NotJson", []],
        [
          "application/json; charset=utf-16le",
          Buffer.from('{"data":[', "utf16le").subarray(0, 17),
          {},
          "TruncatedJson",
          ["within a character"]
        ],
        [
          "application/x-ndjson; charset=utf-16le",
          Buffer.from('{"id":1}', "utf16le").subarray(0, 15),
          { format: "ndjson", records: "$[*]" },
          "TruncatedJson",
          ["within a character"]
        ]
      ] as const) {
        const url = yield* answering(body, 200, { "content-type": type })
        const { message, reason } = yield* failure(connector(url, { primary_key: "id", ...stream }, { retries: 0 }))
        assert.strictEqual(reason._tag, tag, message)
        for (const word of words) assert.include(message, word)
      }
      // What an API says in its own charset is said on.
      const refused = yield* answering(Buffer.from('{"message":"Grüße"}', "latin1"), 422, {
        "content-type": "application/json; charset=latin1"
      })
      assert.include((yield* failure(connector(refused))).message, "Grüße")
      const unnamed = yield* answering(Buffer.from('{"message":"Grüße"}', "latin1"), 422)
      assert.include((yield* failure(connector(unnamed, { charset: "latin1" }))).message, "Grüße")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("rows of CSV become objects of texts", () =>
    Effect.gen(function* () {
      const body = 'a comment\nid;text;amount\n1;"x;""y""\nz";0.10\n2;;12345678901234567890\n'
      const url = yield* answering(body, 200, { "content-type": "text/csv" })
      const pages = yield* readAll(url, { format: "csv", csv: { delimiter: ";", skip: 1 } })
      assert.deepStrictEqual(valuesOf(pages), [
        '{"id":"1","text":"x;\\"y\\"\\nz","amount":"0.10"}',
        '{"id":"2","text":"","amount":"12345678901234567890"}'
      ])
      const named = yield* readAll(yield* answering("1,a\n2,b"), { format: "csv", csv: { columns: ["id", "x"] } })
      assert.deepStrictEqual(valuesOf(named), ['{"id":"1","x":"a"}', '{"id":"2","x":"b"}'])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("elements of XML become members", () =>
    Effect.gen(function* () {
      const body = `<?xml version="1.0"?><feed xmlns:x="urn:x"><next>c</next><entry x:id="1"><id>1</id>
        <tag>a</tag><tag>b</tag><note lang="de">Gr&#252;&#223;e<![CDATA[ <3]]></note></entry></feed>`
      const stream = { format: "xml", records: "$.feed.entry[*]" }
      const url = yield* answering(body, 200, { "content-type": "application/xml" })
      assert.deepStrictEqual(valuesOf(yield* readAll(url, stream)), [
        '{"@x:id":"1","id":"1","tag":["a","b"],"note":{"@lang":"de","#text":"Grüße <3"}}'
      ])
      assert.deepStrictEqual(keysOf(yield* readAll(yield* answering("<feed><next/></feed>"), stream)), [])
      for (const [wrong, tag] of [
        ["<feed><entry>", "TruncatedJson"],
        ["<feed></fed>", "NotJson"],
        ["<html><body/></html>", "NoRecords"]
      ] as const) {
        const bad = connector(yield* answering(wrong), stream, { retries: 0 })
        assert.strictEqual((yield* failure(bad)).reason._tag, tag, wrong)
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("what is no line, or no row, is named", () =>
    Effect.gen(function* () {
      for (const [body, stream, said] of [
        ['{"id":1}\n{"id":2\n{"id":3}', { format: "ndjson", records: "$[*]" }, "line 2 is not JSON"],
        ["id,x\n1,a,b\n", { format: "csv" }, "has 3 values, but there are 2 columns (id, x)"]
      ] as const) {
        const error = yield* failure(connector(yield* answering(body), stream, { retries: 0 }))
        assert.strictEqual(error.reason._tag, "BadRecords")
        assert.include(error.message, said)
      }
      const cut = connector(yield* answering('{"id":1}\n{"id":'), { format: "ndjson", records: "$[*]" }, { retries: 0 })
      assert.strictEqual((yield* failure(cut)).reason._tag, "TruncatedJson")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("records are found with wildcards, expanded, filtered and added to", () =>
    Effect.gen(function* () {
      const body = `{"shops":{"a":{"orders":[{"no":1,"open":true,"lines":[{"id":1,"n":1.10},{"id":2,"n":9}]}]},
        "b":{"orders":[{"no":2,"open":false,"lines":[{"id":3,"n":12345678901234567890}]}]}}}`
      const stream = {
        records: "$.shops.*.orders[*]",
        expand: { list: "lines", parent: "order" },
        filter: "record.order.open || record.id == 3",
        add: { "meta.source": "shop" }
      }
      assert.deepStrictEqual(valuesOf(yield* readAll(yield* answering(body), stream)), [
        '{"id":1,"n":1.10,"order":{"no":1,"open":true},"meta":{"source":"shop"}}',
        '{"id":2,"n":9,"order":{"no":1,"open":true},"meta":{"source":"shop"}}',
        '{"id":3,"n":12345678901234567890,"order":{"no":2,"open":false},"meta":{"source":"shop"}}'
      ])
      const wrong = yield* failure(connector(yield* answering(body), { ...stream, filter: "record.order.open &&" }))
      assert.include(wrong.message, "streams.items.filter: the expression is wrong")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})
