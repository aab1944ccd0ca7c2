import { gunzipSync, gzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Cutter } from "@tributary/connector"
import { Arbitrary, Effect, Schema } from "effect"
import { zipSync } from "fflate"

const cutting = (...secrets: ReadonlyArray<string>): Cutter => {
  const cutter = new Cutter()
  cutter.learn(secrets)
  return cutter
}
const kept = (cutter: Cutter, bytes: Buffer): Buffer => {
  const found = cutter.body(bytes)
  assert.notProperty(found, "why")
  return "why" in found ? bytes : found
}

describe("secrets are cut out", () => {
  it("of packed files, or the file is not kept", () => {
    const cutter = cutting("geheimer-schlüssel")
    const clean = gzipSync("nothing to see")
    assert.isTrue(kept(cutter, clean).equals(clean), "what has none stays as it is")
    const text = gunzipSync(kept(cutter, gzipSync("a geheimer-schlüssel b"))).toString()
    assert.strictEqual(text, "a [secret] b")
    const zip = (inner: string) => Buffer.from(zipSync({ "a.csv": Buffer.from(inner) }))
    assert.isTrue(kept(cutter, zip("id")).equals(zip("id")))
    assert.deepStrictEqual(cutter.body(zip("id,geheimer-schlüssel")), {
      why: "a zip file with secrets in it, which cannot be cut out"
    })
    assert.property(cutter.body(gzipSync("x").subarray(0, 12)), "why", "what cannot be looked into")
  })

  it("of bytes that are no text, and leave the others as they are", () => {
    const body = Buffer.concat([
      Buffer.from([0xff, 0xfe, 0x00]),
      Buffer.from("planted-4f1c"),
      Buffer.from([0x80, 0xff])
    ])
    assert.strictEqual(kept(cutting("planted-4f1c"), body).toString("latin1"), "\u00ff\u00fe\u0000[secret]\u0080\u00ff")
  })

  it("by names, but not what paging goes by", () => {
    const cutter = cutting()
    const body = {
      access_token: "abc",
      clientSecret: "def",
      next_page_token: "n1",
      nextPageToken: "n2",
      cursor: "n3",
      token_type: "Bearer"
    }
    assert.deepStrictEqual(JSON.parse(cutter.text(JSON.stringify(body))), {
      ...body,
      access_token: "[secret]",
      clientSecret: "[secret]"
    })
    assert.strictEqual(
      cutter.url(new URL("https://x.example/a?page[after]=c1&sig=s1&X-Amz-Signature=s2&api_key=s3&pageToken=p1")),
      `https://x.example/a?${[
        "page[after]=c1",
        "sig=[secret]",
        "X-Amz-Signature=[secret]",
        "api_key=[secret]",
        "pageToken=p1"
      ]
        .map((pair) => pair.split("=").map(encodeURIComponent).join("="))
        .join("&")}`
    )
    assert.deepStrictEqual(cutter.headers({ Authorization: "Bearer x", cookie: "a=b", "x-next-token": "n" }), {
      authorization: "[secret]",
      cookie: "[secret]",
      "x-next-token": "n"
    })
  })

  it("of numbers, which stay numbers, and of short values only where they are the whole of one", () => {
    const cutter = cutting("471108", "eu")
    assert.strictEqual(
      cutter.text('{"a":471108,"b":"no 471108","c":14711089}'),
      '{"a":999999,"b":"no 999999","c":14711089}'
    )
    assert.strictEqual(
      cutter.text('{"a":"eu","b":"queue","eu":"neutral"}'),
      '{"a":"[secret]","b":"queue","eu":"neutral"}'
    )
  })

  it("but words of JSON are no secrets in it", () => {
    assert.strictEqual(cutting("true").text('{"a":true}'), '{"a":true}')
  })

  it.effect.prop(
    "whatever they are made of, wherever they stand",
    { secret: Arbitrary.schema(Schema.String.check(Schema.isMinLength(8), Schema.isMaxLength(24))) },
    ({ secret }) =>
      Effect.sync(() => {
        if (/^\d+$/u.test(secret) || secret.trim() === "" || "[secret]".includes(secret)) return
        const cutter = cutting(secret)
        const url = new URL("https://x.example/")
        url.searchParams.set("q", `a${secret}`)
        const text = [
          cutter.url(url),
          cutter.text(JSON.stringify({ seen: `x ${secret} y`, coded: Buffer.from(secret).toString("base64") })),
          JSON.stringify(cutter.headers({ "x-a": secret })),
          kept(cutter, Buffer.from(`<a>${secret}</a>`)).toString()
        ].join("\n")
        const plain = Buffer.from(secret).toString()
        // Half of a pair of surrogates cannot be sent.
        if (plain !== secret) return
        for (const form of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]) {
          assert.notInclude(text, form)
        }
      })
  )
})
