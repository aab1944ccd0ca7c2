import { Environment, remoteKey, Secrets } from "@tributary/secrets"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Redacted } from "effect"
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { crc32c } from "../src/google/crc32c.ts"
import { type Answer, type Asked, testHttp } from "./http.ts"
import { temporaryDirectory } from "./support.ts"

const problem = (code: number, status: string, message: string): Answer => ({
  status: code,
  body: { error: { code, message, status } }
})
const crc = (bytes: Uint8Array) => ({ data: Buffer.from(bytes).toString("base64"), dataCrc32c: crc32c(bytes) })

/**
 * What Google's REST APIs answer, field by field as their references have them: secretmanager.googleapis.com/v1
 * projects.secrets.versions.access, cloudkms.googleapis.com/v1 cryptoKeys.encrypt and decrypt, and the token exchange of workload
 * identity (sts.googleapis.com/v1 token).
 */
const standIn = Effect.gen(function* () {
  const secrets = new Map<string, string>()
  const kek = randomBytes(32)
  const keyName = "projects/p/locations/global/keyRings/r/cryptoKeys/k"
  const seen: Array<Readonly<Record<string, string>>> = []

  const kms = (action: string, body: Readonly<Record<string, string>>): Answer => {
    seen.push(body)
    const context = Buffer.from(body["additionalAuthenticatedData"] ?? "", "base64")
    if (crc32c(context) !== body["additionalAuthenticatedDataCrc32c"])
      return problem(400, "INVALID_ARGUMENT", "checksum")
    const given = Buffer.from(body[action === "encrypt" ? "plaintext" : "ciphertext"] ?? "", "base64")
    if (crc32c(given) !== body[action === "encrypt" ? "plaintextCrc32c" : "ciphertextCrc32c"]) {
      return problem(400, "INVALID_ARGUMENT", "The checksum in field plaintext_crc32c did not match the data.")
    }
    if (action === "encrypt") {
      const nonce = randomBytes(12)
      const cipher = createCipheriv("aes-256-gcm", kek, nonce).setAAD(context)
      const sealed = Buffer.concat([nonce, cipher.update(given), cipher.final(), cipher.getAuthTag()])
      return {
        status: 200,
        body: {
          name: `${keyName}/cryptoKeyVersions/1`,
          ciphertext: sealed.toString("base64"),
          ciphertextCrc32c: crc32c(sealed),
          verifiedPlaintextCrc32c: true,
          verifiedAdditionalAuthenticatedDataCrc32c: true,
          protectionLevel: "SOFTWARE"
        }
      }
    }
    try {
      const opened = createDecipheriv("aes-256-gcm", kek, given.subarray(0, 12))
        .setAAD(context)
        .setAuthTag(given.subarray(-16))
      const plain = Buffer.concat([opened.update(given.subarray(12, -16)), opened.final()])
      return {
        status: 200,
        body: {
          plaintext: plain.toString("base64"),
          plaintextCrc32c: crc32c(plain),
          usedPrimary: true,
          protectionLevel: "SOFTWARE"
        }
      }
    } catch {
      return problem(400, "INVALID_ARGUMENT", "Decryption failed: the ciphertext is invalid.")
    }
  }

  const answer = ({ body, headers, path }: Asked): Answer => {
    if (path === "/token") {
      return {
        status: 200,
        body: {
          access_token: "canary-google-token",
          issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
          token_type: "Bearer",
          expires_in: 3600
        }
      }
    }
    if (headers.authorization !== "Bearer canary-google-token") {
      return problem(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
    }
    const action = /^\/v1\/(.*):(access|encrypt|decrypt)$/.exec(path)
    if (action?.[2] === "access") {
      const found = secrets.get(action[1] ?? "")
      return found === undefined
        ? problem(404, "NOT_FOUND", `Secret [${action[1]}] not found or has no versions.`)
        : { status: 200, body: { name: action[1], payload: crc(Buffer.from(found)) } }
    }
    if (action?.[1] !== keyName) return problem(404, "NOT_FOUND", `CryptoKey ${action?.[1]} not found.`)
    const fields: unknown = JSON.parse(body)
    return kms(
      action[2] ?? "",
      Object.fromEntries(Object.entries(Object(fields)).map(([name, value]) => [name, String(value)]))
    )
  }

  const http = yield* testHttp(answer)
  const directory = yield* temporaryDirectory
  writeFileSync(join(directory, "subject"), "a subject token")
  // Workload identity: the one kind of credentials whose token endpoint is named in the file.
  writeFileSync(
    join(directory, "credentials.json"),
    JSON.stringify({
      type: "external_account",
      audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/provider",
      subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
      token_url: `${http.url}/token`,
      credential_source: { file: join(directory, "subject") }
    })
  )
  process.env["GOOGLE_APPLICATION_CREDENTIALS"] = join(directory, "credentials.json")
  process.env["GOOGLE_CLOUD_PROJECT"] = "own-project"
  const config = ConfigProvider.fromEnvRecord({
    CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: `${http.url}/`,
    CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS: `${http.url}/`,
    TRIBUTARY_SECRETS_TTL: "1 millis",
    TRIBUTARY_SECRETS_TIMEOUT: "5 seconds"
  })
  const layer = Secrets.layer.pipe(
    Layer.provide(Layer.merge(Layer.succeed(Environment, {}), ConfigProvider.layer(config)))
  )
  const read = (reference: string) =>
    Effect.provide(
      Secrets.use((secrets) => Effect.map(secrets.secret(reference, "/"), Redacted.value)),
      layer,
      { local: true }
    )
  const failure = (reference: string) =>
    Effect.map(Effect.flip(read(reference)), (error) => {
      assert.notInclude(error.message, "canary")
      return error
    })
  return { ...http, secrets, keyName, seen, config, read, failure }
})

describe("Google", () => {
  it("computes CRC-32C as its test vectors have it (RFC 3720, appendix B.4)", () => {
    assert.strictEqual(crc32c(Buffer.alloc(32)), String(0x8a9136aa))
    assert.strictEqual(crc32c(Buffer.alloc(32, 0xff)), String(0x62a8ab43))
    assert.strictEqual(crc32c(Buffer.from("123456789")), String(0xe3069283))
  })

  it.live("gives secrets of Secret Manager by short and full name, with versions and locations", () =>
    Effect.gen(function* () {
      const { asked, read, secrets } = yield* standIn
      secrets.set("projects/own-project/secrets/shop/versions/latest", JSON.stringify({ secret: "s3cret" }))
      secrets.set("projects/p/secrets/shop/versions/3", "third")
      secrets.set("projects/p/locations/europe-west3/secrets/shop/versions/latest", "regional")
      assert.strictEqual(yield* read("${gcp:shop#secret}"), "s3cret")
      assert.strictEqual(yield* read("${gcp:projects/p/secrets/shop/versions/3}"), "third")
      assert.strictEqual(yield* read("${gcp:projects/p/locations/europe-west3/secrets/shop}"), "regional")
      assert.isNotEmpty(asked.filter(({ path }) => path === "/token"))
    })
  )

  it.live("says what is wrong and tries again what may pass, damaged answers among it", () =>
    Effect.gen(function* () {
      const { failure, fault, read, secrets } = yield* standIn
      secrets.set("projects/own-project/secrets/shop/versions/latest", "s3cret")
      const damaged: Answer = {
        status: 200,
        body: { name: "x", payload: { ...crc(Buffer.from("s3cret")), dataCrc32c: "1" } }
      }
      fault(":access", damaged, problem(503, "UNAVAILABLE", "The service is currently unavailable."))
      assert.strictEqual(yield* read("${gcp:shop}"), "s3cret")
      fault(":access", damaged, damaged, damaged)
      assert.match((yield* failure("${gcp:shop}")).message, /was damaged on the way/)
      const busy = problem(429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Access requests'")
      fault(":access", busy, "reset", busy)
      assert.strictEqual((yield* failure("${gcp:shop}")).failureClass, "throttled")
      const none = yield* failure("${gcp:none}")
      assert.strictEqual(none.failureClass, "misconfigured")
      assert.match(
        none.message,
        /^\$\{gcp:none\}: Google Secret Manager, secret none: it does not exist \(Secret \[projects\/own-project\/secrets\/none/
      )
      const denial =
        "Permission 'secretmanager.versions.access' denied for resource 'projects/own-project/secrets/shop/versions/latest' (or it may not exist)."
      fault(":access", problem(403, "PERMISSION_DENIED", denial))
      const denied = yield* failure("${gcp:shop}")
      assert.strictEqual(denied.failureClass, "misconfigured")
      assert.match(
        denied.message,
        /it is denied \(Permission .*Give the service account secretmanager\.versions\.access/
      )
      assert.match((yield* failure("${gcp:projects/shop}")).message, /this is no name of a secret/)
      process.env["GOOGLE_APPLICATION_CREDENTIALS"] = "/nonexistent/credentials.json"
      const credentials = yield* failure("${gcp:projects/p/secrets/shop}")
      assert.strictEqual(credentials.failureClass, "misconfigured")
      assert.match(credentials.message, /there are no credentials for it .*GOOGLE_APPLICATION_CREDENTIALS/)
    })
  )

  it.live("wraps keys under a key of Cloud KMS, with checksums both ways", () =>
    Effect.gen(function* () {
      const { config, fault, keyName, seen } = yield* standIn
      const dataKey = Redacted.make<Uint8Array>(Buffer.alloc(32, 5))
      yield* Effect.gen(function* () {
        const key = yield* remoteKey("gcp", keyName)
        const wrapped = yield* key.wrap(dataKey)
        assert.strictEqual(seen[0]?.["plaintextCrc32c"], crc32c(Buffer.alloc(32, 5)))
        assert.deepStrictEqual(Buffer.from(Redacted.value(yield* key.unwrap(wrapped))), Buffer.alloc(32, 5))
        const other = Buffer.from(wrapped)
        other.writeUInt8(other.readUInt8(20) ^ 1, 20)
        assert.match((yield* Effect.flip(key.unwrap(other))).message, /Decryption failed/)
        // Google did not verify the checksum: what was encrypted may be something else.
        const unverified = {
          status: 200,
          body: { ciphertext: "AAAA", ciphertextCrc32c: crc32c(Buffer.alloc(3)), verifiedPlaintextCrc32c: false }
        }
        fault(":encrypt", unverified)
        assert.isAbove((yield* key.wrap(dataKey)).length, 32, "asked again")
        const wrong = { status: 200, body: { plaintext: Buffer.alloc(32, 6).toString("base64"), plaintextCrc32c: "7" } }
        fault(":decrypt", wrong)
        assert.deepStrictEqual(Buffer.from(Redacted.value(yield* key.unwrap(wrapped))), Buffer.alloc(32, 5))
        const none = yield* remoteKey("gcp", keyName.replace(/k$/, "none"))
        assert.match((yield* Effect.flip(none.wrap(dataKey))).message, /does not exist/)
        assert.match((yield* Effect.flip(remoteKey("gcp", "k"))).message, /this names no key/)
      }).pipe(Effect.provideService(ConfigProvider.ConfigProvider, config))
    })
  )
})
