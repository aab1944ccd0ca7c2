import { unhurried } from "@tributary/testkit"
import { existsSync } from "node:fs"
import { afterAll, assert, describe, it } from "vitest"
import {
  connector,
  endAll,
  folder,
  html,
  json,
  large,
  lines,
  planted,
  removeFolders,
  startApi,
  stopApis
} from "./support.ts"

afterAll(async () => {
  await endAll()
  await stopApis()
  removeFolders()
})

const page = { data: Array.from({ length: 10 }, (_, id) => ({ id, name: `item ${id}` })) }

/** What no output of the command may hold. */
const unwanted = (output: string): ReadonlyArray<string> => [
  ...Object.values(planted).filter((secret) => output.includes(secret)),
  ...(/^\s+at .+:\d+:\d+\)?$/mu.exec(output) ?? [])
]

describe("run --once with connectors that are wrong in every way", () => {
  it.concurrent("loads the good one, says of each other what and where, and ends with code 1", async () => {
    const api = await startApi({
      "/items": json(page),
      "/html": html("<!doctype html><title>Please log in</title>"),
      "/cut": (_request, response) => {
        response.writeHead(200, { "content-type": "application/json" })
        response.end('{"data":[{"id":1},{"id":')
      },
      "/error": json({ error: { code: "quota", message: "daily quota used up" } }),
      "/large": large(100),
      "/forbidden": (_request, response) => {
        const challenge = 'Bearer error="insufficient_scope", scope="items.read"'
        response.writeHead(403, { "content-type": "application/json", "www-authenticate": challenge })
        response.end('{"error":"insufficient_scope"}')
      }
    })
    const of = (id: string, settings: Parameters<typeof connector>[2] = {}) => connector(id, api, settings)
    const at = folder({
      "good.yaml": of("good"),
      "wrong-yaml.yaml": `${of("wrong-yaml")}other: [1, 2\n`,
      "unknown-key.yaml": of("unknown-key").replace("records:", "recods:"),
      "unknown-env.yaml": of("unknown-env", { secret: "SECERT" }),
      "wrong-secret.yaml": of("wrong-secret", { secret: "SALT" }),
      "wrong-scope.yaml": of("wrong-scope", { scopes: "[read, admin]" }),
      "forbidden.yaml": of("forbidden", { path: "/forbidden" }),
      "unreachable.yaml": of("unreachable", { base: "http://127.0.0.1:1" }),
      "unknown-host.yaml": of("unknown-host", { base: "https://host.invalid" }),
      "html.yaml": of("html", { path: "/html" }),
      "truncated.yaml": of("truncated", { path: "/cut" }),
      "error-body.yaml": of("error-body", { path: "/error" }),
      "large.yaml": of("large", { path: "/large" }),
      "not-found.yaml": of("not-found", { path: "/nowhere" }),
      "script.yaml": `${of("script")}transform:\n  - typescript: ./nowhere.ts\n`,
      "twin.yaml": of("good")
    })
    const { code, err, out, took } = await at.run(["run", "--once"]).ended

    assert.deepStrictEqual(unwanted(out + err), [])
    assert.strictEqual(code, 1, err)
    assert.isBelow(took, unhurried(50_000))
    assert.match(out, /^good\/items +10 +.* done$/mu)
    assert.match(err, /error: The run did not succeed: 3 problem\(s\) in connector files, 12 stage\(s\) gave up\.\n$/u)

    // Of files: line and column, the line itself, what was expected, the nearest name.
    assert.match(err, /wrong-yaml\.yaml:\d+:\d+\n/u)
    assert.match(err, /found the unknown setting `recods`, expected one of path, /u)
    assert.match(
      err,
      /unknown-key\.yaml:14:5\n.*\n14 \|     recods: \$\.data\[\*\]\n.*\^{6}\n.*Did you mean records\?/u
    )
    assert.match(err, /twin\.yaml:1:1\n/u)
    assert.match(err, /found good, expected an identifier that no other file has; .*good\.yaml has it too/u)

    // Of the rest: in the summary, stream by stream.
    const said = (id: string): string => {
      const found = lines(out).filter((line) => line.startsWith(`${id}/items: `))
      assert.strictEqual(found.length, 1, `${id}\n${out}`)
      return found[0]!
    }
    const host = api.url.slice("http://".length)
    const expected: Record<string, ReadonlyArray<string>> = {
      "unknown-env": ["${env:SECERT}", "is not set", "Did you mean SECRET", "Set it where Tributary is started"],
      "wrong-secret": [
        `at ${host}`,
        "401 invalid_client",
        "no such client: [removed]",
        "Check client_id and client_secret"
      ],
      "wrong-scope": [`at ${host}`, "400 invalid_scope", "unknown scope admin", "Correct `scopes`"],
      forbidden: [
        `${api.url}/forbidden answered 403`,
        "the scopes read",
        "asks for the scope items.read",
        "Add what is missing"
      ],
      unreachable: ["http://127.0.0.1:1/items", "connection refused", "Check http.base_url"],
      "unknown-host": ["https://host.invalid/items", "host name is not known", "Check http.base_url"],
      html: [
        `${api.url}/html`,
        "expected JSON, found an HTML page",
        "text/html",
        "Please log in",
        "Check http.base_url"
      ],
      truncated: [`${api.url}/cut`, "breaks off after 24 bytes", "If it stays"],
      "error-body": [`${api.url}/error answered 200`, "daily quota used up", "$.data[*]", "If this is"],
      large: [`${api.url}/large`, "the limit is 33554432", "raise http.max_page_bytes"],
      "not-found": [`${api.url}/nowhere answered 404`, "Check http.base_url and the stream's path"],
      script: ["step 1 (typescript)", "./nowhere.ts cannot be read", `${at.connectors}/nowhere.ts`]
    }
    for (const [id, parts] of Object.entries(expected)) {
      const message = said(id)
      for (const part of parts) assert.include(message, part, message)
    }
    // Logs are JSON lines, and few: one for each try.
    const logged = lines(err).filter((line) => line.startsWith("{"))
    assert.isAtMost(logged.length, 40)
    for (const line of logged) {
      const entry: Readonly<Record<string, unknown>> = JSON.parse(line)
      for (const field of ["time", "level", "message", "connector"]) assert.isString(entry[field], line)
    }
  })
})

describe("a folder that cannot be run", () => {
  it.concurrent("is refused before anything starts", async () => {
    const api = await startApi()
    const empty = folder()
    const wrong = folder({ "shop.yaml": connector("shop", api).replace("connector: shop", "conector: shop") })
    const missing = folder()
    const commands = [["run", "--once"], ["run"], ["dev"], ["preview"], ["status"], ["validate"]]
    for (const none of await Promise.all(commands.map((command) => empty.run(command).ended))) {
      assert.strictEqual(none.code, 1)
      assert.include(none.err, `${empty.connectors}: the folder has no connector file. Name a folder`)
    }
    const gone = missing.run(["run", "-c", "x"])
    assert.strictEqual((await gone.ended).code, 2)
    missing.removeConnectors()
    const nowhere = await missing.run(["run", "--once"]).ended
    assert.strictEqual(nowhere.code, 1)
    assert.include(nowhere.err, `${missing.connectors}: there is no such file or folder. Name a folder`)
    for (const command of [["run", "--once"], ["run"], ["validate"]]) {
      const { code, err, out } = await wrong.run(command).ended
      assert.strictEqual(code, 1)
      assert.include(out + err, "shop.yaml:1:1")
      assert.include(out + err, "Did you mean connector?")
      assert.isFalse(existsSync(wrong.data), "nothing was started")
    }
  })
})
