import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gunzipSync, gzipSync } from "node:zlib"
import { LosslessJson } from "@tributary/codec"
import { replayConnector } from "@tributary/cli/testing"
import { afterAll, assert, describe, it } from "vitest"
import { parsed } from "./prepared.ts"
import { connector, endAll, folder, type Handler, json, planted, removeFolders, startApi, stopApis } from "./support.ts"

afterAll(async () => {
  await endAll()
  await stopApis()
  removeFolders()
})

/** Every text of a cassette, bodies unpacked. */
const unpacked = (file: string): string =>
  parsed(readFileSync(file, "utf8"))
    .map((line) => {
      const texts = [JSON.stringify(line)]
      for (const side of [line["request"], line["answer"]]) {
        const body: unknown = typeof side === "object" && side !== null && "body" in side ? side.body : undefined
        if (typeof body !== "object" || body === null) continue
        if ("gzip" in body) texts.push(gunzipSync(Buffer.from(String(body.gzip), "base64")).toString("latin1"))
        if ("base64" in body) texts.push(Buffer.from(String(body.base64), "base64").toString("latin1"))
      }
      return texts.join("\n")
    })
    .join("\n")

const size = 3
const record = (id: number) => ({ id, big: 9_007_199_254_740_993n, price: "1.50", at: `2026-03-0${id + 1}T00:00:00Z` })
/** JSON with numbers that a double would change. */
const wide =
  (body: unknown, headers: Readonly<Record<string, string>> = {}): Handler =>
  (_request, response) => {
    response.writeHead(200, { "content-type": "application/json", ...headers })
    response.end(LosslessJson.stringify(body))
  }
const slice = (from: number) =>
  Array.from({ length: Math.max(0, Math.min(size, 8 - from)) }, (_, index) => record(from + index))
const after = (from: number) => (from + size < 8 ? String(from + size) : undefined)

/** A stream per paginator, all over eight records in pages of three. */
const paged: Readonly<Record<string, { readonly yaml: string; readonly handler: Handler }>> = {
  cursor: {
    yaml: "pagination: { cursor: $.next, param: c }",
    handler: (request, response, url) => {
      const from = Number(url.searchParams.get("c") ?? 0)
      wide({ data: slice(from), next: after(from) ?? null })(request, response, url)
    }
  },
  header: {
    yaml: "pagination: { header: x-next, param: x-from, in: header }",
    handler: (request, response, url) => {
      const from = Number(request.headers["x-from"] ?? 0)
      const next = after(from)
      wide({ data: slice(from) }, next === undefined ? {} : { "x-next": next })(request, response, url)
    }
  },
  body: {
    yaml: "body: { json: { of: all } }\npagination: { cursor: $.next, param: page.after, in: body }",
    handler: (request, response, url) => {
      let text = ""
      request.on("data", (part: Buffer) => (text += part.toString()))
      request.on("end", () => {
        const from = Number(JSON.parse(text).page?.after ?? 0)
        wide({ data: slice(from), next: after(from) ?? null })(request, response, url)
      })
    }
  },
  last: {
    yaml: "pagination: { last_record: id, param: after, more: $.more }",
    handler: (request, response, url) => {
      const from = Number(url.searchParams.get("after") ?? -1) + 1
      wide({ data: slice(from), more: after(from) !== undefined })(request, response, url)
    }
  },
  page: {
    yaml: "pagination: { page: page, size: 3, size_param: per_page }",
    handler: (request, response, url) =>
      wide({ data: slice((Number(url.searchParams.get("page")) - 1) * size) })(request, response, url)
  },
  offset: {
    yaml: "pagination: { offset: offset, limit: 3 }",
    handler: (request, response, url) =>
      wide({ data: slice(Number(url.searchParams.get("offset"))) })(request, response, url)
  },
  // Its addresses are signed, and repeat a secret of the file.
  next_url: {
    yaml: 'query: { api_key: "${env:SALT}" }\npagination: { next_url: $.links.next }',
    handler: (request, response, url) => {
      const from = Number(url.searchParams.get("from") ?? 0)
      const next = after(from)
      const more = `${url.pathname}?from=${next}&api_key=${planted.salt}&signature=signed-${from}-f00d`
      wide({ data: slice(from), links: { next: next === undefined ? null : more } })(request, response, url)
    }
  },
  link: {
    yaml: "pagination: { link: next }",
    handler: (request, response, url) => {
      const from = Number(url.searchParams.get("from") ?? 0)
      const next = after(from)
      const link = `<${url.pathname}?from=${next}>; rel="next"`
      wide({ data: slice(from) }, next === undefined ? {} : { link })(request, response, url)
    }
  },
  windows: {
    yaml: "incremental: { field: at, param: since, until_param: until, start: 2026-03-01T00:00:00Z, step: 40 days }",
    handler: (request, response, url) => {
      const since = url.searchParams.get("since") ?? ""
      const until = url.searchParams.get("until") ?? "9"
      const data = slice(0)
        .concat(slice(3), slice(6))
        .filter(({ at }) => at >= since && at < until)
      wide({ data })(request, response, url)
    }
  },
  lines: {
    yaml: 'format: ndjson\nrecords: "$"',
    handler: (_request, response) => {
      response.writeHead(200, { "content-type": "application/x-ndjson", "content-encoding": "gzip" })
      response.end(gzipSync([...slice(0)].map(({ id }) => `{"id":${id},"text":"${"x".repeat(4_000)}"}\n`).join("")))
    }
  }
}

const indented = (text: string) => text.replaceAll(/^/gmu, "    ")

/** A connector with all of them. */
const everything = (url: string, token: string) => `connector: shop
auth:
  oauth2: client_credentials
  token_url: ${url}/token
  client_id: client
  client_secret: \${env:SECRET}
  scopes: [read]
http: { base_url: "\${env:SHOP_URL}", retries: 2, headers: { x-tenant: "\${env:${token}}" } }
streams:
${Object.entries(paged)
  .map(
    ([name, { yaml }]) =>
      `  ${name}:\n    path: /${name}\n${yaml.includes("records:") ? "" : "    records: $.data[*]\n"}    primary_key: id\n${indented(yaml)}\n`
  )
  .join("")}`

describe("record and replay", () => {
  it("give the same records for every paginator, with the API gone and no secret set", async () => {
    const api = await startApi(
      Object.fromEntries(Object.entries(paged).map(([name, { handler }]) => [`/${name}`, handler]))
    )
    const at = folder({ "shop.yaml": everything(api.url, "TENANT") })
    const cassette = join(at.path, "shop.cassette")
    const surroundings = { SHOP_URL: api.url, TENANT: "tenant-secret-5e1f" }
    const recorded = await at.run(["record", "--to", cassette, "--json"], surroundings).ended
    assert.strictEqual(recorded.code, 0, recorded.out + recorded.err)
    const told = parsed(recorded.out)
    assert.deepStrictEqual(
      told.map(({ isWhole, records, replayed, stream }) => ({ stream, isWhole, records, replayed })),
      Object.keys(paged).map((stream) => ({
        stream,
        isWhole: true,
        records: stream === "lines" ? 3 : 8,
        replayed: "replayed, they are the same"
      }))
    )
    await api.stop()
    const replayed = await at.run(["replay", "--from", cassette, "--json"], { SECRET: "", SALT: "" }).ended
    assert.strictEqual(replayed.code, 0, replayed.out + replayed.err)
    assert.deepStrictEqual(
      parsed(replayed.out).map(({ digest, stream }) => ({ stream, digest })),
      told.map(({ digest, stream }) => ({ stream, digest }))
    )
    // The other commands run on it too, and so do tests.
    const preview = await at.run(["preview", "shop", "--stream", "cursor", "--replay", cassette]).ended
    assert.match(preview.out, /^cursor: one page of 3 records/u, preview.err)
    assert.include(preview.out, "9007199254740993")
    const checked = await at.run(["check", "shop", "page", "--replay", cassette]).ended
    assert.strictEqual(checked.code, 0, checked.out + checked.err)
    const streams = await replayConnector({ connector: join(at.connectors, "shop.yaml"), cassette })
    assert.deepStrictEqual(
      Object.entries(streams).map(([name, { read, rejected }]) => [name, read.length, rejected.length]),
      Object.keys(paged).map((name) => [name, name === "lines" ? 3 : 8, 0])
    )
    assert.deepStrictEqual(streams["cursor"]?.records[7], record(7))
    assert.isFalse(existsSync(join(at.data, "log")), "nothing was published")
  })

  it("keep no secret, in whatever form it comes", async () => {
    const secrets = {
      SECRET: planted.secret,
      KEY: 'key/with "quotes" & more+7',
      PIN: "4711081542",
      NAME: "Müller-geheim"
    }
    const hidden = [
      secrets.SECRET,
      secrets.KEY,
      secrets.PIN,
      secrets.NAME,
      "at_planted-token-93bd",
      "cookie-5d0c",
      "sig-77fe1",
      "pw-in-body-3"
    ]
    const forms = hidden.flatMap((one) => [
      one,
      encodeURIComponent(one),
      JSON.stringify(one).slice(1, -1),
      Buffer.from(one).toString("base64").replace(/=+$/u, ""),
      Buffer.from(one).toString("hex")
    ])
    const api = await startApi({
      "/items": (request, response) => {
        response.writeHead(200, {
          "content-type": "application/json",
          "set-cookie": "session=cookie-5d0c; HttpOnly",
          "x-echo": String(request.headers.authorization),
          link: `</items?api_key=${encodeURIComponent(secrets.KEY)}>; rel="self"`
        })
        response.end(
          JSON.stringify({
            data: [
              {
                id: 1,
                seen: request.headers,
                asked: request.url,
                pin: 4_711_081_542,
                pins: `no ${secrets.PIN}.`,
                near: 147_110_815_429,
                file: "https://files.example/a?X-Amz-Signature=sig-77fe1&part=2",
                password: "pw-in-body-3",
                coded: Buffer.from(secrets.KEY).toString("base64"),
                name: secrets.NAME
              }
            ]
          })
        )
      },
      "/packed": (_request, response) => {
        response.writeHead(200, { "content-type": "application/gzip" })
        response.end(gzipSync(`{"id":1,"of":"${secrets.SECRET}"}\n{"id":2,"text":"${"y".repeat(9_000)}"}\n`))
      }
    })
    const at = folder({
      "shop.yaml": `connector: shop
auth:
  oauth2: client_credentials
  token_url: ${api.url}/token
  client_id: client
  client_secret: \${env:SECRET}
  scopes: [read]
http: { base_url: "${api.url}", retries: 0, headers: { x-pin: "\${env:PIN}", x-name: "n" } }
streams:
  items:
    path: /items
    records: $.data[*]
    query: { api_key: "\${env:KEY}", of: "\${env:NAME}" }
  packed: { path: /packed, format: ndjson, records: "$", unpack: gzip }
`
    })
    const cassette = join(at.path, "shop.cassette")
    const { code, err, out } = await at.run(["record", "--to", cassette], secrets).ended
    const all = unpacked(cassette)
    assert.include(all, "147110815429", "another number that holds the same digits")
    const kept = all.replaceAll("147110815429", "")
    for (const form of forms) assert.notInclude(kept + out + err, form)
    assert.include(kept, '\\"pin\\":9999999999', "a number stays one")
    assert.include(kept, "part=2", "what is no secret of an address")
    assert.strictEqual(code, 0, out + err)
    assert.match(
      out,
      /^items: 1 answer\(s\) with 1 record\(s\); replayed, they are as many; secrets were cut out of some$/mu
    )
    assert.match(out, /^packed: 1 answer\(s\) with 2 record\(s\); replayed, they are as many/mu)
  })

  it("keep no refresh token either, which only the store of tokens knows", async () => {
    const rotated = "rt-rotated-and-planted-3c"
    const api = await startApi({
      "/token": json({
        access_token: "at-planted-of-rt-9",
        token_type: "Bearer",
        expires_in: 3600,
        refresh_token: rotated
      }),
      "/items": json({ data: [{ id: 1, seen: `${rotated} and at-planted-of-rt-9` }] })
    })
    const at = folder({
      "shop.yaml": `connector: shop
auth:
  oauth2: refresh_token
  token_url: ${api.url}/token
  client_id: client
  client_secret: \${env:SECRET}
  refresh_token: \${env:FIRST}
http: { base_url: "${api.url}", retries: 0 }
streams:
  items: { path: /items, records: "$.data[*]" }
`
    })
    const cassette = join(at.path, "shop.cassette")
    const { code, err, out } = await at.run(["record", "--to", cassette], { FIRST: "rt-first-planted-1d" }).ended
    assert.strictEqual(code, 0, out + err)
    const kept = readFileSync(cassette, "utf8")
    assert.include(kept, "[secret] and [secret]")
    for (const secret of [rotated, "at-planted-of-rt-9", "rt-first-planted-1d"])
      assert.notInclude(kept + out + err, secret)
  })

  it("say which recorded request is the nearest, and what differs", async () => {
    const api = await startApi({ "/items": json({ data: [{ id: 1 }] }) })
    const at = folder({ "shop.yaml": connector("shop", api) })
    const cassette = join(at.path, "shop.cassette")
    assert.strictEqual((await at.run(["record", "--to", cassette]).ended).code, 0)
    at.write("shop.yaml", connector("shop", api).replace("    poll:", "    query: { status: open }\n    poll:"))
    const other = await at.run(["replay", "--from", cassette]).ended
    assert.strictEqual(other.code, 1)
    assert.match(
      other.out,
      /items\?status=…: this request was not recorded in \S+shop\.cassette\. The nearest is GET http:\S+\/items \(line 3\): the parameter status is new \(open\)\./u
    )
    const there = await at.run(["record", "--to", cassette]).ended
    assert.match(there.err, /error: \S+shop\.cassette: there is a file of this name/u)
    writeFileSync(cassette, "{}\n")
    const broken = await at.run(["replay", "--from", cassette]).ended
    assert.match(broken.err, /error: \S+shop\.cassette:1 is no line of a cassette/u)
    assert.strictEqual(api.requests.filter((request) => request.includes("/items")).length, 1, "a replay asks nobody")
  })

  it("keep errors and retries as they came, bodies up to a size, and so many answers", async () => {
    let tries = 0
    const api = await startApi({
      "/items": (request, response, url) => {
        const from = Number(url.searchParams.get("c") ?? 0)
        if (from === 1 && tries++ === 0) {
          response.writeHead(429, { "retry-after": "1" })
          return response.end("slow down")
        }
        json({ data: [{ id: from }], next: String(from + 1) })(request, response, url)
      },
      "/large": json({ data: [{ id: 1, text: "x".repeat(5_000) }] })
    })
    const at = folder({
      "shop.yaml": `connector: shop
http: { base_url: "${api.url}" }
streams:
  items: { path: /items, records: "$.data[*]", pagination: { cursor: $.next, param: c } }
  large: { path: /large, records: "$.data[*]" }
`
    })
    const cassette = join(at.path, "shop.cassette")
    const { code, err, out } = await at.run(["record", "--to", cassette, "--answers", "5", "--body", "4000"]).ended
    assert.strictEqual(code, 1)
    assert.match(
      out,
      /^items: 5 answer\(s\) with 4 record\(s\); replayed, they are the same\n {2}not all there is: the cassette ends after 5 answers/mu
    )
    assert.match(out, /^large: .* recorded without its body: it has 50\d\d bytes or more, and 4000 are kept/mu)
    assert.match(err, /^left out: \S+\/large: it has/mu)
    const statuses = parsed(readFileSync(cassette, "utf8")).flatMap(({ answer, stream }) =>
      stream === "items" && typeof answer === "object" && answer !== null && "status" in answer ? [answer.status] : []
    )
    assert.deepStrictEqual(statuses, [200, 429, 200, 200, 200, 204])
  })

  it("run the whole pipeline once, in a folder of its own", async () => {
    const api = await startApi({ "/items": json({ data: [{ id: 1 }, { id: 2 }] }) })
    const at = folder({ "shop.yaml": connector("shop", api) })
    const cassette = join(at.path, "shop.cassette")
    assert.strictEqual((await at.run(["record", "--to", cassette]).ended).code, 0)
    await api.stop()
    const { code, err, out } = await at.run(["run", "--once", "--replay", cassette]).ended
    assert.strictEqual(code, 0, out + err)
    assert.match(out, /^shop\/items .* 2 /mu)
    const query = await at.run(["query", "--json", "SELECT count() AS n FROM shop.items"]).ended
    assert.include(query.out, "2")
    const stays = await at.run(["run", "--replay", cassette]).ended
    assert.strictEqual(stays.code, 2)
    assert.match(stays.err, /expected it with `run --once`/u)
    const servers = await at.run(["run", "--once", "--replay", cassette], { TRIBUTARY_KAFKA_BROKERS: "127.0.0.1:9" })
      .ended
    assert.strictEqual(servers.code, 2)
  })
})
