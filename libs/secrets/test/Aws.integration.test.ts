import { CreateAliasCommand, CreateKeyCommand, KMSClient } from "@aws-sdk/client-kms"
import {
  CreateSecretCommand,
  DeleteSecretCommand,
  PutSecretValueCommand,
  SecretsManagerClient
} from "@aws-sdk/client-secrets-manager"
import { Environment, remoteKey, Secrets } from "@tributary/secrets"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Redacted } from "effect"
import process from "node:process"
import { testHttp } from "./http.ts"
import { missing, motoServer } from "./moto.ts"

const settings = { TRIBUTARY_SECRETS_TTL: "1 millis", TRIBUTARY_SECRETS_TIMEOUT: "5 seconds" }
const config = ConfigProvider.fromEnvRecord(settings)
const layer = Secrets.layer.pipe(
  Layer.provide(Layer.merge(Layer.succeed(Environment, {}), ConfigProvider.layer(config)))
)

/** The SDK looks for its settings in the process's environment itself. */
const pointTo = (url: string) => {
  process.env["AWS_ENDPOINT_URL"] = url
  process.env["AWS_REGION"] = "eu-west-1"
  process.env["AWS_ACCESS_KEY_ID"] = "canary-access-key"
  process.env["AWS_SECRET_ACCESS_KEY"] = "canary-secret-key"
}

const read = (reference: string) =>
  Effect.provide(
    Secrets.use((secrets) => Effect.map(secrets.secret(reference, "/"), Redacted.value)),
    layer,
    { local: true }
  )
const failure = (reference: string) =>
  Effect.map(Effect.flip(read(reference)), (error) => {
    assert.notInclude(error.message, "canary-secret-key")
    return error
  })
const sent = (work: () => Promise<unknown>) => Effect.promise(work)

describe.skipIf(missing !== undefined)(`AWS${missing === undefined ? "" : ` (${missing})`}`, () => {
  it.live("gives secrets of Secrets Manager by name and ARN, whole and by field, as they are now", () =>
    Effect.gen(function* () {
      pointTo(yield* motoServer)
      const client = new SecretsManagerClient({})
      const SecretString = JSON.stringify({ id: "shop", secret: "s3cret" })
      const made = yield* Effect.promise(() =>
        client.send(new CreateSecretCommand({ Name: "prod/shop", SecretString }))
      )
      yield* sent(() => client.send(new CreateSecretCommand({ Name: "plain", SecretString: "a plain text" })))
      yield* sent(() =>
        client.send(new CreateSecretCommand({ Name: "bytes", SecretBinary: Buffer.from("from bytes") }))
      )
      yield* sent(() =>
        client.send(new CreateSecretCommand({ Name: "image", SecretBinary: Buffer.from([0xff, 0xfe]) }))
      )
      assert.strictEqual(yield* read("${aws:prod/shop#secret}"), "s3cret")
      assert.strictEqual(yield* read(`\${aws:${made.ARN ?? ""}#id}`), "shop")
      assert.strictEqual(yield* read("${aws:prod/shop}"), SecretString)
      assert.strictEqual(yield* read("${aws:plain}"), "a plain text")
      assert.strictEqual(yield* read("${aws:bytes}"), "from bytes")
      const rotated = JSON.stringify({ secret: "rotated" })
      yield* sent(() => client.send(new PutSecretValueCommand({ SecretId: "prod/shop", SecretString: rotated })))
      assert.strictEqual(yield* read("${aws:prod/shop#secret}"), "rotated")

      assert.match((yield* failure("${aws:image}")).message, /is binary, and no UTF-8 text/)
      assert.match((yield* failure("${aws:plain#id}")).message, /is no JSON object.*Leave out #id/)
      assert.match((yield* failure("${aws:prod/shop#id}")).message, /has no field id/)
      const none = yield* failure("${aws:none}")
      assert.match(none.message, /^\$\{aws:none\}: AWS Secrets Manager, secret none: it does not exist/)
      assert.strictEqual(none.failureClass, "misconfigured")
      yield* sent(() => client.send(new DeleteSecretCommand({ SecretId: "plain" })))
      assert.strictEqual((yield* failure("${aws:plain}")).failureClass, "misconfigured")
      client.destroy()
    })
  )

  it.live("wraps keys under a key of KMS, by id, ARN and alias", () =>
    Effect.gen(function* () {
      pointTo(yield* motoServer)
      const client = new KMSClient({})
      const made = yield* Effect.promise(() => client.send(new CreateKeyCommand({})))
      const id = made.KeyMetadata?.KeyId ?? ""
      yield* sent(() => client.send(new CreateAliasCommand({ AliasName: "alias/tributary", TargetKeyId: id })))
      const dataKey = Redacted.make<Uint8Array>(Buffer.alloc(32, 5))
      yield* Effect.gen(function* () {
        for (const name of [id, made.KeyMetadata?.Arn ?? "", "alias/tributary"]) {
          const key = yield* remoteKey("aws", name)
          assert.strictEqual(key.id, `aws:${name}`)
          const wrapped = yield* key.wrap(dataKey)
          assert.notDeepEqual(Buffer.from(wrapped), Buffer.alloc(32, 5))
          assert.deepStrictEqual(Buffer.from(Redacted.value(yield* key.unwrap(wrapped))), Buffer.alloc(32, 5))
        }
        const none = yield* remoteKey("aws", "00000000-0000-0000-0000-000000000000")
        assert.match((yield* Effect.flip(none.wrap(dataKey))).message, /AWS KMS, key 0000.*: it does not exist/)
      }).pipe(Effect.provideService(ConfigProvider.ConfigProvider, config))
      client.destroy()
    })
  )
})

describe("Failures of AWS", () => {
  // As the service documents them (Secrets Manager API Reference, "Common Errors" and GetSecretValue).
  const problem = (status: number, type: string, message: string) => ({ status, body: { __type: type, message } })
  const value = { status: 200, body: { Name: "shop", SecretString: "s3cret", VersionId: "1" } }

  it.live("have classes, say what to do, and what may pass is tried again", () =>
    Effect.gen(function* () {
      const server = yield* testHttp(() => value)
      pointTo(server.url)
      const throttled = problem(400, "ThrottlingException", "Rate exceeded")
      const broken = problem(500, "InternalServiceError", "An error occurred on the server side.")
      server.fault("/", throttled, broken)
      assert.strictEqual(yield* read("${aws:shop}"), "s3cret")
      server.fault("/", throttled, throttled, throttled)
      assert.strictEqual((yield* failure("${aws:shop}")).failureClass, "throttled")
      server.fault("/", broken, "reset", broken)
      assert.strictEqual((yield* failure("${aws:shop}")).failureClass, "transient")
      const who =
        "User: arn:aws:sts::123456789012:assumed-role/app/i-0123 is not authorized to perform: secretsmanager:GetSecretValue"
      const expected = [
        [problem(400, "AccessDeniedException", who), /it is denied .*allow secretsmanager:GetSecretValue/],
        [
          problem(400, "UnrecognizedClientException", "The security token included in the request is invalid."),
          /no credentials that it takes/
        ],
        [
          problem(400, "ExpiredTokenException", "The security token included in the request is expired"),
          /no credentials that it takes/
        ],
        [
          problem(
            400,
            "DecryptionFailure",
            "Secrets Manager can't decrypt the protected secret text using the provided KMS key."
          ),
          /DecryptionFailure/
        ]
      ] as const
      for (const [answer, message] of expected) {
        server.fault("/", answer)
        const error = yield* failure("${aws:shop}")
        assert.strictEqual(error.failureClass, "misconfigured")
        assert.match(error.message, message)
      }
    })
  )

  it.live("of a key of KMS name the key and what to do", () =>
    Effect.gen(function* () {
      const server = yield* testHttp(() => ({ status: 200, body: { CiphertextBlob: "AAAA", KeyId: "k" } }))
      pointTo(server.url)
      const key = yield* remoteKey("aws", "k")
      const cases = [
        ["DisabledException", "arn:aws:kms:eu-west-1:1:key/k is disabled.", /cannot be used now .*Enable it/],
        ["KMSInvalidStateException", "k is pending deletion.", /cannot be used now/],
        ["AccessDeniedException", "not authorized to perform: kms:Encrypt", /it is denied .*allow kms:Encrypt/]
      ] as const
      for (const [type, message, expected] of cases) {
        server.fault("/", problem(400, type, message))
        const error = yield* Effect.flip(key.wrap(Redacted.make(Buffer.alloc(32))))
        assert.strictEqual(error.failureClass, "misconfigured")
        assert.match(error.message, expected)
      }
      server.fault("/", problem(400, "InvalidCiphertextException", ""))
      assert.match(
        (yield* Effect.flip(key.unwrap(Buffer.alloc(99)))).message,
        /was not encrypted with it, or was changed/
      )
      assert.strictEqual(server.asked.length, 4, "none of them is tried again")
    }).pipe(Effect.provideService(ConfigProvider.ConfigProvider, config))
  )

  it.live("end in time when nothing answers, and without a region", () =>
    Effect.gen(function* () {
      const server = yield* testHttp(() => value)
      pointTo(server.url)
      server.fault("/", "hang")
      const hurried = ConfigProvider.fromEnvRecord({ TRIBUTARY_SECRETS_TIMEOUT: "300 millis" })
      const late = yield* Effect.flip(
        Effect.provide(
          Secrets.use((secrets) => secrets.secret("${aws:shop}", "/")),
          Secrets.layer.pipe(Layer.provide(ConfigProvider.layer(hurried))),
          { local: true }
        )
      )
      assert.strictEqual(late.failureClass, "transient")
      process.env["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"
      assert.strictEqual((yield* failure("${aws:shop}")).failureClass, "transient")
      delete process.env["AWS_REGION"]
      process.env["AWS_CONFIG_FILE"] = "/dev/null"
      assert.match((yield* failure("${aws:shop}")).message, /no region is given\. Set AWS_REGION/)
    })
  )
})
