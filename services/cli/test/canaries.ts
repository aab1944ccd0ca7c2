// Secrets that are planted wherever a connector has one, servers that try to bring them to light, and the search for them.
import { createPrivateKey, generateKeyPairSync, randomBytes } from "node:crypto"
import { readdirSync, readFileSync, statSync } from "node:fs"
import type { IncomingMessage } from "node:http"
import { join } from "node:path"
import { type Api, type Handler, json, startApi } from "./support.ts"

const canary = (name: string) => `canary-${name}-${randomBytes(12).toString("hex")}`

const privateKey = () =>
  generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" }).toString()

/** What is planted, by the variable that holds it. */
export const plantedSecrets = () => ({
  CANARY_SECRET: `${canary("secret")}/+&%`,
  CANARY_WRONG: canary("wrong"),
  CANARY_FIRST: canary("first-refresh"),
  CANARY_DEAD: canary("dead-refresh"),
  CANARY_KEY: canary("api-key"),
  CANARY_PASSWORD: canary("password"),
  CANARY_BEARER: canary("bearer"),
  CANARY_HEADER: canary("header"),
  CANARY_PARAMETER: canary("parameter"),
  CANARY_PEM: privateKey(),
  TRIBUTARY_VAULT_KEY: randomBytes(32).toString("base64"),
  TRIBUTARY_CONTROL_TOKEN: canary("control"),
  TRIBUTARY_ALERT_WEBHOOK: ""
})
type Planted = ReturnType<typeof plantedSecrets>

/** How a token endpoint may answer. The last are told as hostile ones would: with what they were sent. */
export const tokenModes = [
  "good",
  "short",
  "gone",
  "echo",
  "echo200",
  "html",
  "refused",
  "throttled",
  "drop",
  "silent",
  "redirect",
  "empty",
  "cut"
] as const
/** How an API may answer. */
export const apiModes = ["good", "401", "403", "400", "500", "redirect", "text", "norecords", "cut"] as const

const bodyOf = async (request: IncomingMessage) => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString()
}

/** Servers of every mode; they issue tokens that are canaries too, and note them. */
export const startHostile = async (secrets: Set<string>): Promise<Api> => {
  let elsewhere = ""
  const echoOf = (request: IncomingMessage, body: string) => {
    const basic = Buffer.from((request.headers.authorization ?? "").slice(6), "base64").toString()
    return `you sent ${request.url} ${JSON.stringify(request.headers)} ${body} ${decodeURIComponent(body)} ${basic} ${decodeURIComponent(basic)}`
  }
  const token =
    (mode: (typeof tokenModes)[number]): Handler =>
    (request, response, url) => {
      const issue = () => {
        const answer = {
          access_token: canary("access"),
          refresh_token: canary("refresh"),
          id_token: canary("id-token"),
          token_type: "Bearer",
          expires_in: mode === "short" ? 2 : 3600
        }
        for (const one of [answer.access_token, answer.refresh_token, answer.id_token]) secrets.add(one)
        return answer
      }
      const send = (body: string) => {
        const echo = echoOf(request, body)
        const refresh = new URLSearchParams(body).get("refresh_token") ?? ""
        switch (mode) {
          case "good":
          case "short":
            return json(issue())(request, response, url)
          case "gone":
            return json({ error: "invalid_grant", error_description: `${refresh} is revoked. ${echo}` }, 400)(
              request,
              response,
              url
            )
          case "echo":
            return json({ error: echo, error_description: echo, error_uri: echo }, 400)(request, response, url)
          case "echo200":
            return json({ error: "oops", message: echo, access_token: null })(request, response, url)
          case "html":
            response.writeHead(200, { "content-type": "text/html" }).end(`<html><title>${echo}</title></html>`)
            return
          case "refused":
            return json({ error: "invalid_client", error_description: echo }, 401)(request, response, url)
          case "throttled":
            response.writeHead(429, { "retry-after": "1", "content-type": "text/plain" }).end(echo)
            return
          case "drop":
            issue()
            response.destroy()
            return
          case "silent":
            issue()
            return
          case "redirect":
            response.writeHead(307, { location: `${elsewhere}/token/good?back=${encodeURIComponent(body)}` }).end()
            return
          case "empty":
            response.writeHead(500).end()
            return
          case "cut":
            response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(issue()).slice(0, -20))
        }
      }
      bodyOf(request).then(send, () => response.destroy())
    }
  const api =
    (mode: (typeof apiModes)[number]): Handler =>
    (request, response, url) => {
      const echo = echoOf(request, "")
      const headers = { "x-echo": encodeURIComponent(echo).slice(0, 4000) }
      const challenge = `Bearer error="invalid_token", error_description="${(request.headers.authorization ?? "").replace(/"/gu, "")}"`
      switch (mode) {
        case "good":
          return json({ data: [{ id: 1, name: "one" }] })(request, response, url)
        case "401":
          response.writeHead(401, { ...headers, "www-authenticate": challenge }).end(echo)
          return
        case "403":
        case "400":
        case "500":
          response.writeHead(Number(mode), { ...headers, "content-type": "application/json" })
          response.end(JSON.stringify({ error: echo }))
          return
        case "redirect":
          response.writeHead(302, { location: `${elsewhere}/else?${encodeURIComponent(echo)}` }).end()
          return
        case "text":
          response.writeHead(200, { ...headers, "content-type": "text/plain" }).end(echo)
          return
        case "norecords":
          return json({ message: echo })(request, response, url)
        case "cut":
          response
            .writeHead(200, { "content-type": "application/json" })
            .end(JSON.stringify({ oops: echo }).slice(0, -5))
      }
    }
  const other = await startApi({ "/token/good": token("good") })
  elsewhere = other.url
  return startApi({
    "/hook": (_request, response) => void response.writeHead(204).end(),
    ...Object.fromEntries(tokenModes.map((mode) => [`/token/${mode}`, token(mode)])),
    ...Object.fromEntries(apiModes.map((mode) => [`/api/${mode}`, api(mode)]))
  })
}

const file = (id: string, auth: string, url: string, path: string) => `connector: ${id}
${auth}http:
  base_url: ${url}/api
  retries: 1
  headers: { x-planted: "\${env:CANARY_HEADER}" }
streams:
  items:
    path: /${path}
    records: $.data[*]
    primary_key: id
    query: { planted: "\${env:CANARY_PARAMETER}" }
    poll: every 1 second
sink:
  clickhouse: { table: "canary.${id.replaceAll("-", "_")}", order_by: [id], flush_every: 50 millis }
`

const oauth = (grant: string, lines: ReadonlyArray<string>) =>
  ["auth:", `  oauth2: ${grant}`, "  client_id: canary-client", ...lines.map((line) => `  ${line}`), ""].join("\n")

/** Connectors of every kind of credential, with every way to fail. */
export const canaryConnectors = (url: string): Readonly<Record<string, string>> => {
  const client = (mode: string, more: ReadonlyArray<string> = []) =>
    oauth("client_credentials", [`token_url: ${url}/token/${mode}`, "client_secret: ${env:CANARY_SECRET}", ...more])
  const refresh = (mode: string, first = "CANARY_FIRST") =>
    oauth("refresh_token", [
      `token_url: ${url}/token/${mode}`,
      "client_secret: ${env:CANARY_SECRET}",
      "client_auth: post",
      `refresh_token: \${env:${first}}`
    ])
  const plain = (...lines: ReadonlyArray<string>) => ["auth:", ...lines.map((line) => `  ${line}`), ""].join("\n")
  const signed = (mode: string) =>
    oauth("client_credentials", [
      `token_url: ${url}/token/${mode}`,
      "client_auth: private_key_jwt",
      "client_key: { key: '${env:CANARY_PEM}' }"
    ])
  const auths: Record<string, string> = {
    key: plain("api_key: ${env:CANARY_KEY}", "header: x-api-key"),
    "key-query": plain("api_key: ${env:CANARY_KEY}", "query: key"),
    basic: plain("basic: canary-user", "password: ${env:CANARY_PASSWORD}"),
    bearer: plain("bearer: ${env:CANARY_BEARER}"),
    signed: signed("good"),
    "signed-echo": signed("echo"),
    "dead-refresh": refresh("gone", "CANARY_DEAD"),
    "wrong-secret": oauth("client_credentials", [
      `token_url: ${url}/token/refused`,
      "client_secret: ${env:CANARY_WRONG}"
    ])
  }
  for (const mode of tokenModes) {
    auths[`client-${mode}`] = client(mode)
    auths[`refresh-${mode}`] = refresh(mode)
  }
  const found: Record<string, string> = {}
  for (const [name, auth] of Object.entries(auths)) found[`${name}.yaml`] = file(name, auth, url, "good")
  for (const mode of apiModes) {
    found[`api-oauth-${mode}.yaml`] = file(`api-oauth-${mode}`, client("good"), url, mode)
    found[`api-refresh-${mode}.yaml`] = file(`api-refresh-${mode}`, refresh("short"), url, mode)
    found[`api-query-${mode}.yaml`] = file(`api-query-${mode}`, auths["key-query"] ?? "", url, mode)
    found[`api-basic-${mode}.yaml`] = file(`api-basic-${mode}`, auths["basic"] ?? "", url, mode)
  }
  return found
}

/** All spellings in which a secret may come to light. */
const spellings = (secret: string): ReadonlyArray<string> => {
  const encoded = encodeURIComponent(secret)
  const base64 = (text: string) => Buffer.from(text).toString("base64").replace(/=+$/u, "")
  return [
    secret,
    encoded,
    encoded.toLowerCase(),
    encodeURIComponent(encoded),
    JSON.stringify(secret).slice(1, -1),
    base64(secret),
    base64(`canary-client:${encoded}`),
    base64(`canary-client:${secret}`),
    base64(`canary-user:${secret}`),
    Buffer.from(secret).toString("hex")
  ]
}

/** What of a planted secret gives it away: of a key its contents, line by line. */
const partsOf = (secret: string): ReadonlyArray<string> => {
  if (!secret.includes("PRIVATE KEY")) return [secret]
  const { d = "" } = createPrivateKey(secret).export({ format: "jwk" })
  return [...secret.split("\n").filter((line) => line.length > 20 && !line.includes("PRIVATE KEY")), d]
}

export const secretsOf = (planted: Planted): ReadonlyArray<string> =>
  Object.values(planted)
    .filter((secret) => secret !== "")
    .flatMap(partsOf)

/** Where secrets stand in something that was written: the place, and what is around. */
export const search = (
  secrets: Iterable<string>,
  places: Iterable<readonly [place: string, contents: string | Buffer]>
): ReadonlyArray<string> => {
  const wanted = [...secrets].flatMap((secret) => spellings(secret).map((spelling) => [spelling, secret] as const))
  const found: Array<string> = []
  for (const [place, contents] of places) {
    const text = typeof contents === "string" ? contents : contents.toString("latin1")
    for (const [spelling, secret] of wanted) {
      const at = text.indexOf(spelling)
      if (at < 0) continue
      const around = text.slice(Math.max(0, at - 160), at + spelling.length + 40).replaceAll(/[^\x20-\x7e]+/gu, " ")
      found.push(`${place}: ${secret.slice(0, 20)}… in …${around}…`)
    }
  }
  return found
}

/** Every file below a folder, with its bytes. */
export const filesBelow = (folder: string): ReadonlyArray<readonly [string, Buffer]> =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path, { throwIfNoEntry: false })?.isFile() === true ? [[name, readFileSync(path)] as const] : []
  })
