import { Effect } from "effect"
import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from "node:crypto"
import { type Answer, type Asked, testHttp } from "./http.ts"

/** A token as the stand-in keeps it. */
interface Token {
  readonly ttl: number
  readonly isRenewable: boolean
  readonly isAllowed: boolean
}

const errors = (status: number, ...said: ReadonlyArray<string>): Answer => ({ status, body: { errors: said } })
const answered = (data: unknown): Answer => ({
  status: 200,
  body: {
    request_id: randomUUID(),
    lease_id: "",
    renewable: false,
    lease_duration: 0,
    data,
    wrap_info: null,
    warnings: null,
    auth: null
  }
})

/**
 * What HashiCorp Vault's HTTP API answers to the questions that are asked here, field by field as its documentation has them
 * (https://developer.hashicorp.com/vault/api-docs: secret/kv/kv-v2, secret/kv/kv-v1, secret/transit, auth/approle, auth/kubernetes,
 * auth/token, system/internal-ui-mounts).
 */
export const hashicorpStandIn = Effect.gen(function* () {
  const tokens = new Map<string, Token>([["root-token", { ttl: 0, isRenewable: false, isAllowed: true }]])
  const secrets = new Map<string, Readonly<Record<string, unknown>> | null>()
  const keys = new Map<string, Array<Buffer>>()
  const roles = new Map<string, { readonly secretId: string; ttl: number }>()
  const jwts = new Map<string, string>()
  let showsMounts = true

  const issue = (ttl: number): Answer => {
    const token = `hvs.${randomBytes(24).toString("base64url")}`
    tokens.set(token, { ttl, isRenewable: true, isAllowed: true })
    return {
      status: 200,
      body: {
        request_id: randomUUID(),
        lease_duration: 0,
        data: null,
        auth: {
          client_token: token,
          accessor: randomUUID(),
          policies: ["default"],
          token_policies: ["default"],
          metadata: null,
          lease_duration: ttl,
          renewable: true,
          token_type: "service"
        }
      }
    }
  }
  const given = (body: string): Readonly<Record<string, string>> => {
    const parsed: unknown = JSON.parse(body === "" ? "{}" : body)
    return Object.fromEntries(Object.entries(Object(parsed)).map(([name, value]) => [name, String(value)]))
  }

  const transit = (action: string, name: string, body: string): Answer => {
    const versions = keys.get(name)
    if (versions === undefined) return errors(400, "encryption key not found")
    if (action === "encrypt") {
      const nonce = randomBytes(12)
      const cipher = createCipheriv("aes-256-gcm", versions.at(-1) ?? "", nonce)
      const sealed = Buffer.concat([
        nonce,
        cipher.update(Buffer.from(given(body)["plaintext"] ?? "", "base64")),
        cipher.final(),
        cipher.getAuthTag()
      ])
      return answered({
        ciphertext: `vault:v${versions.length}:${sealed.toString("base64")}`,
        key_version: versions.length
      })
    }
    const [, version = "", text = ""] = /^vault:v(\d+):(.*)$/.exec(given(body)["ciphertext"] ?? "") ?? []
    const key = versions[Number(version) - 1]
    if (key === undefined) return errors(400, "invalid ciphertext: no prefix")
    const sealed = Buffer.from(text, "base64")
    try {
      const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12)).setAuthTag(sealed.subarray(-16))
      const plain = Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()])
      return answered({ plaintext: plain.toString("base64") })
    } catch {
      return errors(400, "cipher: message authentication failed")
    }
  }

  const answer = ({ body, headers, method, path }: Asked): Answer => {
    const at = decodeURIComponent(path.replace(/^\/v1\//, ""))
    const fields = given(body)
    if (method === "POST" && at === "auth/approle/login") {
      const role = roles.get(fields["role_id"] ?? "")
      return role === undefined || role.secretId !== fields["secret_id"]
        ? errors(400, "invalid role or secret ID")
        : issue(role.ttl)
    }
    if (method === "POST" && at === "auth/kubernetes/login") {
      const jwt = jwts.get(fields["role"] ?? "")
      if (jwt === undefined) return errors(400, `invalid role name "${fields["role"]}"`)
      return jwt === fields["jwt"] ? issue(3600) : errors(403, "permission denied")
    }
    const name = String(headers["x-vault-token"] ?? "")
    const token = tokens.get(name)
    if (token === undefined) return errors(403, "permission denied", "invalid token")
    if (at === "auth/token/lookup-self") {
      return answered({
        id: name,
        ttl: token.ttl,
        creation_ttl: token.ttl,
        renewable: token.isRenewable,
        policies: ["default"]
      })
    }
    if (method === "POST" && at === "auth/token/renew-self") {
      return {
        status: 200,
        body: {
          auth: { client_token: name, lease_duration: token.ttl, renewable: token.isRenewable, policies: ["default"] }
        }
      }
    }
    const mounted = /^sys\/internal\/ui\/mounts\/([^/]+)\//.exec(at)
    if (mounted !== null) {
      const mount = `${mounted[1]}/`
      const version = mount === "kv/" ? "2" : mount === "old/" ? "1" : undefined
      if (!showsMounts || version === undefined) {
        return errors(
          403,
          `preflight capability check returned 403, please ensure client's policies grant access to path "${mount}"`
        )
      }
      return answered({
        accessor: "kv_1",
        description: "",
        options: { version },
        path: mount,
        type: "kv",
        uuid: randomUUID()
      })
    }
    if (!token.isAllowed) return errors(403, "1 error occurred:\n\t* permission denied\n\n")
    const crypt = /^transit\/(encrypt|decrypt)\/(.+)$/.exec(at)
    if (crypt !== null) return transit(crypt[1] ?? "", crypt[2] ?? "", body)
    const versioned = /^kv\/data\/(.+)$/.exec(at)
    if (versioned !== null) {
      const found = secrets.get(`kv/${versioned[1]}`)
      if (found === undefined) return errors(404)
      const metadata = {
        created_time: "2026-11-21T00:00:00.000000000Z",
        custom_metadata: null,
        deletion_time: found === null ? "2026-11-21T01:00:00.000000000Z" : "",
        destroyed: false,
        version: 1
      }
      const { body: found200 } = answered({ data: found, metadata })
      return { status: found === null ? 404 : 200, body: found200 }
    }
    const plain = /^old\/(.+)$/.exec(at)
    const found = plain === null ? undefined : secrets.get(at)
    return found === undefined || found === null ? errors(404) : answered(found)
  }

  const http = yield* testHttp(answer)
  return {
    ...http,
    tokens,
    secrets,
    roles,
    jwts,
    /** Makes a transit key, or a new version of it. */
    rotateKey: (name: string) => void keys.set(name, [...(keys.get(name) ?? []), randomBytes(32)]),
    hideMounts: () => void (showsMounts = false)
  }
})
