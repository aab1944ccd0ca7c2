import { spawn } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { chmodSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import process from "node:process"
import { type ConsentServer, startConsentServer } from "@tributary/testkit/consent"
import { Visitor } from "@tributary/testkit/visitor"
import { afterAll, afterEach, assert, beforeAll, describe, it } from "vitest"
import { filesBelow, search } from "./canaries.ts"
import { endAll, type Folder, folder, main, removeFolders } from "./support.ts"

let server: ConsentServer
beforeAll(async () => {
  server = await startConsentServer()
})
afterAll(() => server.stop())
afterEach(async () => {
  await endAll()
  removeFolders()
})

const file = (settings: ReadonlyArray<string> = []) => `connector: shop
auth:
  oauth2: authorization_code
  issuer: ${server.issuer}
  client_id: app
  client_auth: none
  scopes: [openid, offline_access, "api:read", "api:write"]
  resource: ${server.api}
  authorization_params: { prompt: consent }
${settings.map((line) => `  ${line}\n`).join("")}http: { base_url: "${server.api}" }
streams:
  orders: { path: /orders, records: "$.data[*]", primary_key: id, poll: every 1 hour }
`

/** A browser that does what the environment says. */
const browserOf = ({ path }: Folder): string => {
  const program = join(path, "browser.sh")
  const visitor = join(import.meta.dirname, "fixtures", "visitor.ts")
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${visitor}' "$1"\n`)
  chmodSync(program, 0o700)
  return program
}

const environmentOf = (place: Folder, more: Readonly<Record<string, string>> = {}) => ({
  BROWSER: browserOf(place),
  ...more
})

/** The command with something on its standard input. */
const fed = (place: Folder, args: ReadonlyArray<string>, answer: (seen: string) => Promise<string | undefined>) =>
  new Promise<{ readonly code: number | null; readonly said: string }>((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args, "-c", place.connectors, "--data", place.data], {
      env: { PATH: process.env["PATH"], HOME: process.env["HOME"] }
    })
    let said = ""
    let isFed = false
    const read = (part: Buffer) => {
      said += part.toString()
      if (isFed) return
      const feed = async () => {
        const line = await answer(said)
        if (line === undefined || isFed) return
        isFed = true
        child.stdin.end(`${line}\n`)
      }
      feed().catch(reject)
    }
    // Without a terminal nothing is asked for.
    read(Buffer.from(""))
    child.stdout.on("data", read)
    child.stderr.on("data", read)
    child.once("error", reject)
    child.once("close", (code) => resolve({ code, said }))
  })

/** A refresh token as another program of the person's would have it. */
const refreshToken = async (): Promise<string> => {
  const verifier = randomBytes(32).toString("base64url")
  const redirect_uri = "http://127.0.0.1/callback"
  const query = new URLSearchParams({
    client_id: "app",
    response_type: "code",
    redirect_uri,
    scope: "openid offline_access api:read api:write",
    resource: server.api,
    prompt: "consent",
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256"
  })
  const away = await new Visitor().visit(`${server.issuer}/auth?${query}`)
  // oxlint-disable-next-line eslint/no-restricted-globals -- another program
  const answer = await fetch(`${server.issuer}/token`, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "authorization_code",
      client_id: "app",
      code: away.searchParams.get("code") ?? "",
      redirect_uri,
      code_verifier: verifier
    })
  })
  const tokens: unknown = await answer.json()
  return String(typeof tokens === "object" && tokens !== null ? Reflect.get(tokens, "refresh_token") : "")
}

const addressIn = (text: string) => /^ {2}(http\S+)$/mu.exec(text)?.[1]

describe("tributary consent", () => {
  it(
    "gives a waiting connector of another process its tokens; it goes on where it stopped",
    { timeout: 240_000 },
    async () => {
      const place = folder({ "shop.yaml": file() })
      const running = place.run(["dev"])
      await running.until("it asks for consent", () => running.err().includes("Run: tributary consent shop"))
      const given = await place.run(["consent", "shop"], environmentOf(place)).ended
      assert.strictEqual(given.code, 0, given.err)
      assert.include(given.out, "shop: consent was given by person, and is stored.")
      assert.include(given.out, "+ api:read")
      await running.until("it goes on", () => running.err().includes("goes on where it stopped"))
      const tapped = await place.run(["tap", "raw.shop.orders", "--follow", "--limit", "3"]).ended
      assert.strictEqual(tapped.out.match(/"total"/gu)?.length, 3, tapped.err)
      running.child.kill("SIGTERM")
      await running.ended
      const said = `${given.out}${given.err}${running.out()}${running.err()}`
      assert.notMatch(said, /code=|refresh_token=|access_token=/u)
      const revoked = await place.run(["revoke", "shop"]).ended
      assert.include(revoked.out, "shop: Its tokens were revoked at the server and forgotten here.")
      assert.include((await place.run(["revoke", "shop"]).ended).out, "No tokens of it are stored")
      assert.match((await place.run(["audit", "--json"]).ended).out, /"what":"revoked"/u)
    }
  )

  it(
    "is tried out with the server and the connector that dev shows, once that is saved",
    { timeout: 240_000 },
    async () => {
      const place = folder()
      const running = place.run(["dev", "--auth-server", "--auth-port", "0", "--http", "127.0.0.1:0"])
      await running.until("it waits for a connector", () => running.err().includes("until there is one"))
      place.write("tryout.yaml", /^connector: tryout[^]*/mu.exec(running.out())?.[0] ?? "")
      await running.until("it asks for consent", () => running.err().includes("Run: tributary consent tryout"))
      const given = await place.run(["consent", "tryout"], environmentOf(place)).ended
      assert.strictEqual(given.code, 0, given.err)
      await running.until("it goes on", () => running.err().includes("goes on where it stopped"))
      const metrics = /metrics at (http:\S+\/metrics)/u.exec(running.err())?.[1] ?? assert.fail(running.err())
      const obtained = /^oauth_token_obtained_timestamp_seconds\{[^}]*authorization="tryout"[^}]*\} 1\d{9}/mu
      // oxlint-disable-next-line eslint/no-restricted-globals -- as Prometheus asks
      const read = async () => (await fetch(metrics)).text()
      await running.until("its metrics tell of the token", async () => obtained.test(await read()))
      // oxlint-disable-next-line eslint/no-restricted-globals -- as an orchestrator asks
      assert.include(await (await fetch(metrics.replace("/metrics", "/v1/owned"))).text(), '"tryout"')
    }
  )

  it(
    "is given once for connectors that share an authorization, and stays while one of them does",
    { timeout: 240_000 },
    async () => {
      const shared = (connector: string) =>
        file()
          .replace("connector: shop", `connector: ${connector}`)
          .replace("auth:\n", "auth:\n  authorization: login\n")
      const place = folder({ "one.yaml": shared("one"), "two.yaml": shared("two") })
      const waits = await place.run(["preview", "two"]).ended
      assert.include(waits.out + waits.err, "Run: tributary consent login")
      const given = await place.run(["consent", "login"], environmentOf(place)).ended
      assert.strictEqual(given.code, 0, given.err)
      const seen = await place.run(["preview", "two"]).ended
      assert.strictEqual(seen.code, 0, seen.err)
      const refused = await place.run(["revoke", "one"]).ended
      assert.strictEqual(refused.code, 1)
      assert.include(refused.err, "The authorization login is shared with two, which would stop too.")
      // Of one connector alone, by whatever name, or none.
      for (const args of [[], ["login"], ["one"]]) {
        const alone = folder({ "one.yaml": shared("one") })
        const revoked = await alone.run(["revoke", ...args]).ended
        assert.strictEqual(revoked.code, 0, revoked.err)
        assert.include(revoked.out, "login: No tokens of it are stored")
      }
    }
  )

  it("shows what was granted against what was asked", async () => {
    const place = folder({ "shop.yaml": file() })
    const given = await place.run(["consent"], environmentOf(place, { VISITOR: "openid offline_access api:read" }))
      .ended
    assert.strictEqual(given.code, 0, given.err)
    assert.include(given.out, "- api:write (asked for, not granted)")
    assert.include(given.err, "streams that need api:write will be refused")
  })

  it("tells that access was denied", async () => {
    const place = folder({ "shop.yaml": file() })
    const given = await place.run(["consent", "shop"], environmentOf(place, { VISITOR: "denies" })).ended
    assert.strictEqual(given.code, 1)
    assert.match(given.err, /error: Consent for shop: access was denied \(access_denied "The person said no\."\)/u)
  })

  it("refuses an answer with another state, and still takes the right one", async () => {
    const place = folder({ "shop.yaml": file() })
    const given = await place.run(["consent", "shop"], environmentOf(place, { VISITOR_PLANTS: "yes" })).ended
    assert.strictEqual(given.code, 0, given.err)
    assert.include(given.err, "another `state` than this request")
  })

  it.each(["http://[::1]/callback", "http://localhost/callback"])("awaits the browser at %s, too", async (redirect) => {
    const place = folder({ "shop.yaml": file([`redirect_uri: ${redirect}`]) })
    const given = await place.run(["consent", "shop"], environmentOf(place)).ended
    assert.strictEqual(given.code, 0, given.err)
    assert.include(given.out, "consent was given by person")
  })

  it("says which port is taken", async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve))
    const address = other.address()
    const port = typeof address === "object" ? address?.port : 0
    const place = folder({ "shop.yaml": file([`redirect_uri: http://127.0.0.1:${port}/callback`]) })
    const given = await place.run(["consent", "shop"], environmentOf(place)).ended
    other.close()
    assert.strictEqual(given.code, 1)
    assert.include(given.err, `Port ${port} is taken by another program`)
  })

  it("ends when nobody answers in time, without a browser, and when there is nothing to read", async () => {
    const place = folder({ "shop.yaml": file() })
    const late = await place.run(["consent", "shop", "--timeout", "1"]).ended
    assert.strictEqual(late.code, 1)
    assert.include(late.err, "No browser can be opened from here")
    assert.include(late.err, "nobody consented within")
    const empty = await place.run(["consent", "shop", "--paste"]).ended
    assert.strictEqual(empty.code, 1)
    assert.include(empty.err, "there is no terminal, and standard input is empty")
  })

  it("shows a device's code, and waits until it was entered", { timeout: 240_000 }, async () => {
    const place = folder({ "shop.yaml": file() })
    const waiting = place.run(["consent", "shop", "--device"])
    await waiting.until("it shows a code", () => waiting.out().includes("The code is good for"))
    const [, address = "", code = ""] =
      /Open (\S+) on any device and enter the code:\n\n {2}(\S+)/u.exec(waiting.out()) ?? []
    await new Visitor().enter(address, code)
    const given = await waiting.ended
    assert.strictEqual(given.code, 0, given.err)
    assert.include(given.out, "consent was given by person")
  })

  it(
    "takes a pasted address, a pasted code, and refuses what does not belong to it",
    { timeout: 240_000 },
    async () => {
      const place = folder({ "shop.yaml": file() })
      const visit = async (seen: string) => {
        const address = addressIn(seen)
        return address === undefined ? undefined : (await new Visitor().visit(address)).href
      }
      const whole = await fed(place, ["consent", "shop", "--paste"], visit)
      assert.strictEqual(whole.code, 0, whole.said)
      const code = await fed(place, ["consent", "shop", "--paste"], async (seen) => {
        const address = await visit(seen)
        // As it stands in an address.
        const plain = address === undefined ? undefined : (new URL(address).searchParams.get("code") ?? "")
        return plain?.replaceAll(/[^\w]|a/gu, (one) => `%${one.charCodeAt(0).toString(16)}`)
      })
      assert.strictEqual(code.code, 0, code.said)
      const foreign = await fed(place, ["consent", "shop", "--paste"], async (seen) =>
        (await visit(seen))?.replace(/state=[^&]*/u, "state=planted")
      )
      assert.strictEqual(foreign.code, 1)
      assert.include(foreign.said, "another `state` than this request")
    }
  )

  it(
    "leaves neither the code nor a token in what it says, shows of itself or writes",
    { timeout: 240_000 },
    async () => {
      const place = folder({ "shop.yaml": file() })
      const secrets = new Set<string>()
      const given = await fed(place, ["consent", "shop", "--paste", "--log-level", "all"], async (seen) => {
        const address = addressIn(seen)
        if (address === undefined) return undefined
        const back = await new Visitor().visit(address)
        secrets.add(back.searchParams.get("code") ?? "")
        return back.href
      })
      assert.strictEqual(given.code, 0, given.said)
      const token = await refreshToken()
      secrets.add(token)
      const adopted = await fed(place, ["consent", "shop", "--refresh-token", "--log-level", "all"], async () => token)
      assert.strictEqual(adopted.code, 0, adopted.said)
      const audit = await place.run(["audit", "--json"]).ended
      const status = await place.run(["status", "--json"]).ended
      assert.strictEqual(secrets.size, 2)
      assert.include(audit.out, '"detail":"consent of a person"')
      const places: ReadonlyArray<readonly [string, string | Buffer]> = [
        ["consent", given.said],
        ["adoption", adopted.said],
        ["audit", audit.out + audit.err],
        ["status", status.out + status.err],
        ...filesBelow(place.data)
      ]
      assert.isAbove(places.length, 5)
      assert.deepStrictEqual(search(secrets, places), [])
      assert.isNotEmpty(search(secrets, [["planted", `x${[...secrets][0] ?? ""}x`]]))
    }
  )

  it("takes an existing refresh token, and tells when it does not work", { timeout: 240_000 }, async () => {
    const place = folder({ "shop.yaml": file() })
    const wrong = await fed(place, ["consent", "shop", "--refresh-token"], async () => "not-a-token-of-this-server")
    assert.strictEqual(wrong.code, 1)
    assert.include(wrong.said, "Run: tributary consent shop")
    assert.notInclude(wrong.said, "not-a-token-of-this-server")
    const token = await refreshToken()
    const right = await fed(place, ["consent", "shop", "--refresh-token"], async () => token)
    assert.strictEqual(right.code, 0, right.said)
    assert.include(right.said, "the refresh token works, and is stored with its successors")
    assert.notInclude(right.said, token)
    const again = await fed(place, ["consent", "shop", "--refresh-token"], async () => "not-a-token-of-this-server")
    assert.strictEqual(again.code, 1)
    const seen = await place.run(["preview", "shop"]).ended
    assert.strictEqual(seen.code, 0, `what was stored before goes on: ${seen.err}`)
  })

  it("says so when a connector needs nobody's consent", async () => {
    const text = file()
      .replace("authorization_code", "client_credentials")
      .replace(/ {2}authorization_params.*\n/u, "")
    const place = folder({ "shop.yaml": text.replace("client_auth: none", 'client_secret: "${env:SECRET}"') })
    const given = await place.run(["consent", "shop"]).ended
    assert.strictEqual(given.code, 1)
    assert.include(given.err, "uses the grant client_credentials, which needs nobody's consent")
    assert.isTrue(readFileSync(join(place.connectors, "shop.yaml"), "utf8").includes("client_credentials"))
  })
})
