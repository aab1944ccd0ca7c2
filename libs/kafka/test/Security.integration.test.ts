import { it } from "@effect/vitest"
import { Log } from "@tributary/log"
import { claimOf, readAll, record, unique, values } from "@tributary/log/testing"
import { Clock, Duration, Effect, Exit, Layer, Redacted, Scope } from "effect"
import {
  type AclEntry,
  AclOperationTypes as Operation,
  AclPermissionTypes,
  AclResourceTypes as Resource,
  Kafka,
  logLevel,
  ResourcePatternTypes
} from "kafkajs"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe } from "vitest"
import { KafkaLog } from "../src/index.ts"
import { makeAuthority, missingOpenssl } from "./server/Certificates.ts"
import { brokerClassPath } from "./server/Jars.ts"
import { type SecureBroker, startSecureBroker } from "./server/SecureBroker.ts"

const found = brokerClassPath()
const missing = "missing" in found ? found.missing : missingOpenssl
const password = "c0rrect-horse"
/** Everything that a secret may look like in a message. */
const secrets = [password, "wr0ng", "BEGIN"]

type Right = readonly [Resource, ReadonlyArray<Operation>]
/** Rights that are enough for all but deleting topics and giving them more partitions: on prefixes, and none on the cluster. */
const rights: ReadonlyArray<Right> = [
  [
    Resource.TOPIC,
    [Operation.READ, Operation.WRITE, Operation.CREATE, Operation.DESCRIBE_CONFIGS, Operation.ALTER_CONFIGS]
  ],
  [Resource.GROUP, [Operation.READ]],
  [Resource.TRANSACTIONAL_ID, [Operation.WRITE]]
]
const entries = (principal: string, granted: ReadonlyArray<Right>): Array<AclEntry> =>
  granted.flatMap(([resourceType, operations]) =>
    // The prefix of the transactions in which a log publishes.
    (resourceType === Resource.TRANSACTIONAL_ID ? ["secure-", "tributary-"] : ["secure-"]).flatMap((resourceName) =>
      operations.map((operation) => ({
        resourceType,
        resourceName,
        operation,
        principal,
        resourcePatternType: ResourcePatternTypes.PREFIXED,
        permissionType: AclPermissionTypes.ALLOW,
        host: "*"
      }))
    )
  )

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url")
/** An unsigned token, which only brokers of tests take, good for some seconds from now. */
const token = (subject: string, life: number) =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    const seconds = Math.floor(now / 1000)
    const claims = { sub: subject, iat: seconds - 1000, exp: seconds + life }
    return Redacted.make(`${part({ alg: "none" })}.${part(claims)}.`)
  })

describe.skipIf(missing !== undefined)(`Kafka with access control${missing ? ` (skipped: ${missing})` : ""}`, () => {
  const scope = Scope.makeUnsafe()
  const directory = mkdtempSync(join(tmpdir(), "tributary-kafka-"))
  let broker: SecureBroker
  let worker: ReturnType<SecureBroker["authority"]["issue"]>

  beforeAll(async () => {
    const names = ["plain", "scram", "no-write", "no-create", "no-group", "no-id"]
    broker = await Effect.runPromise(
      Scope.provide(
        startSecureBroker({ directory, users: Object.fromEntries(names.map((name) => [name, password])) }),
        scope
      )
    )
    worker = broker.authority.issue("worker", "/CN=worker")
    const without = (resource: Resource, ...left: ReadonlyArray<Operation>): ReadonlyArray<Right> =>
      rights.map(([type, operations]) => [
        type,
        type === resource ? operations.filter((operation) => !left.includes(operation)) : operations
      ])
    const admin = new Kafka({ brokers: [broker.open], logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    await admin.createAcls({
      acl: [
        ...["User:plain", "User:scram", "User:CN=worker", "User:token"].flatMap((name) => entries(name, rights)),
        ...entries("User:no-write", without(Resource.TOPIC, Operation.WRITE)),
        ...entries("User:no-create", without(Resource.TOPIC, Operation.CREATE)),
        ...entries("User:no-group", without(Resource.GROUP, Operation.READ)),
        ...entries("User:no-id", without(Resource.TRANSACTIONAL_ID, Operation.WRITE))
      ]
    })
    await admin.disconnect()
  }, 180_000)
  afterAll(async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    rmSync(directory, { recursive: true, force: true })
  })

  const trusting = (): KafkaLog.Tls => ({ ca: broker.authority.certificate })
  const identified = ({ certificate, key }: { readonly certificate: string; readonly key: string }): KafkaLog.Tls => ({
    ...trusting(),
    certificate,
    key: Redacted.make(key)
  })
  const use = <A, E>(
    options: KafkaLog.KafkaLogOptions,
    body: (log: Log["Service"]) => Effect.Effect<A, E, Log | Scope.Scope>
  ) =>
    Effect.flatMap(Log, body).pipe(
      Effect.provide(Layer.fresh(KafkaLog.layer({ patience: Duration.seconds(5), ...options })))
    )
  const as = (mechanism: "plain" | "scram-sha-256" | "scram-sha-512", username: string, said = password) => ({
    brokers: [broker.sasl],
    tls: trusting(),
    sasl: { mechanism, username, password: Redacted.make(said) }
  })
  /** What the log says when it is opened, and asked something, in this way. */
  const refusal = (options: KafkaLog.KafkaLogOptions) =>
    Effect.map(Effect.flip(use(options, (log) => log.topics)), (error) => {
      for (const secret of secrets) assert.notInclude(error.message + JSON.stringify(error), secret)
      return { failureClass: error.failureClass, message: error.message }
    })

  describe("everything works, with a few rights,", () => {
    const ways: Readonly<Record<string, () => KafkaLog.KafkaLogOptions>> = {
      "with PLAIN": () => as("plain", "plain"),
      "with SCRAM-SHA-256": () => as("scram-sha-256", "scram"),
      "with SCRAM-SHA-512": () => as("scram-sha-512", "scram"),
      "with OAUTHBEARER": () => ({
        brokers: [broker.sasl],
        tls: trusting(),
        sasl: { mechanism: "oauthbearer", token: token("token", 600) }
      }),
      "with a certificate of the client's": () => ({
        brokers: [broker.mutual],
        tls: identified(worker)
      }),
      "over TLS without identity": () => ({ brokers: [broker.tls], tls: trusting() })
    }
    for (const [name, options] of Object.entries(ways))
      it.live(name, () =>
        Effect.suspend(() =>
          use(options(), (log) =>
            Effect.gen(function* () {
              const topic = unique("secure-topic")
              yield* log.ensureTopic({ name: topic, partitions: 1, compacted: true })
              yield* log.publish([record(topic, "a", "published")])
              const { claim, member } = yield* claimOf(unique("secure-group"), topic)
              const producer = yield* log.producer(unique("secure-id"))
              yield* producer.transact({ records: [record(topic, "b", "transacted")], consumed: { claim, offset: 1 } })
              assert.deepStrictEqual(yield* claim.committed, { offset: 1, metadata: "" })
              yield* claim.commit(1, "plan")
              assert.deepStrictEqual(yield* claim.committed, { offset: 1, metadata: "plan" })
              yield* member.leave
              assert.deepStrictEqual(values(yield* readAll(topic)), ["published", "transacted"])
              assert.include(
                (yield* log.topics).map((info) => info.name),
                topic
              )
            })
          )
        )
      )
  })

  describe("who may not come in is told why:", () => {
    for (const mechanism of ["plain", "scram-sha-256", "scram-sha-512"] as const)
      it.live(`a wrong password, and nobody's name, with ${mechanism}`, () =>
        Effect.gen(function* () {
          for (const options of [as(mechanism, "plain", "wr0ng"), as(mechanism, "stranger")]) {
            const { failureClass, message } = yield* refusal(options)
            assert.strictEqual(failureClass, "misconfigured")
            assert.match(
              message,
              /localhost:\d+.*SASL.*authentication failed.*[Ii]nvalid (username or password|credentials)/
            )
          }
        })
      )

    it.live("a token that is over", () =>
      Effect.gen(function* () {
        const { failureClass, message } = yield* refusal({
          brokers: [broker.sasl],
          tls: trusting(),
          sasl: { mechanism: "oauthbearer", token: token("token", -500) }
        })
        assert.strictEqual(failureClass, "misconfigured")
        assert.match(message, /localhost:\d+.*SASL OAUTHBEARER authentication failed.*invalid_token/)
      })
    )

    it.live("a certificate of an authority that is not trusted", () =>
      Effect.gen(function* () {
        const other = makeAuthority(directory, "other")
        for (const tls of [true, { ca: other.certificate }]) {
          const { failureClass, message } = yield* refusal({ brokers: [broker.tls], tls })
          assert.strictEqual(failureClass, "misconfigured")
          assert.match(message, /localhost:\d+.*(unable to verify the first certificate|unable to get local issuer)/)
          assert.match(
            message,
            tls === true
              ? /an authority that this machine does not know\. Let TRIBUTARY_KAFKA_TLS be the path/
              : /an authority that TRIBUTARY_KAFKA_TLS does not name\. Add the certificate/
          )
        }
      })
    )

    it.live("a certificate for another host name", () =>
      Effect.gen(function* () {
        const elsewhere = broker.tls.replace("localhost", "127.0.0.1")
        const { failureClass, message } = yield* refusal({ brokers: [elsewhere], tls: trusting() })
        assert.strictEqual(failureClass, "misconfigured")
        assert.match(
          message,
          /127\.0\.0\.1:\d+.*is for another name: .*does not match certificate's altnames.* cert's list: .*\. Name the broker \(here, and in its advertised\.listeners\)/
        )
      })
    )

    it.live("no certificate where the broker asks for one, and one of a strange authority", () =>
      Effect.gen(function* () {
        const none = yield* refusal({ brokers: [broker.mutual], tls: trusting() })
        assert.strictEqual(none.failureClass, "misconfigured")
        assert.match(
          none.message,
          /localhost:\d+: the broker asks for a certificate of the client, and none was given .*Set TRIBUTARY_KAFKA_TLS_CERTIFICATE and TRIBUTARY_KAFKA_TLS_KEY/
        )
        const strange = makeAuthority(directory, "strange").issue("worker", "/CN=worker")
        const wrong = yield* refusal({ brokers: [broker.mutual], tls: identified(strange) })
        assert.strictEqual(wrong.failureClass, "misconfigured")
        assert.match(
          wrong.message,
          /localhost:\d+: the broker refused this client's certificate .*an authority in the broker's ssl\.truststore/
        )
      })
    )

    it.live("a certificate of the broker that is over", () =>
      Effect.gen(function* () {
        const { failureClass, message } = yield* refusal({ brokers: [broker.expired], tls: trusting() })
        assert.strictEqual(failureClass, "misconfigured")
        assert.match(message, /localhost:\d+: the broker's certificate.* has expired .*Renew it at the broker/)
      })
    )

    it.live("files that do not hold what they should, before anything is connected", () =>
      Effect.gen(function* () {
        const other = broker.authority.issue("other worker", "/CN=worker")
        const over = broker.authority.issue("over", "/CN=worker", undefined, 0)
        yield* Effect.sleep("1100 millis")
        const der = Buffer.from(broker.authority.certificate.split("-----")[2] ?? "", "base64").toString("latin1")
        const damaged = broker.authority.certificate.replace(/\n[^\n]{10}/, "\nAAAAAAAAAA")
        const table: ReadonlyArray<readonly [string, KafkaLog.Tls, RegExp]> = [
          [
            "DER",
            { ca: der },
            /TRIBUTARY_KAFKA_TLS names\).*found that it is binary, perhaps DER.*openssl x509 -inform der/
          ],
          ["nothing", { ca: " " }, /TRIBUTARY_KAFKA_TLS names\).*it is empty/],
          ["something else", { ca: "hello" }, /TRIBUTARY_KAFKA_TLS names\).*it is text of another kind/],
          ["a key", { ca: worker.key }, /TRIBUTARY_KAFKA_TLS names\).*it holds private key/],
          ["damaged", { ca: damaged }, /TRIBUTARY_KAFKA_TLS names\).*it holds a certificate that is damaged/],
          ["half", { ...trusting(), certificate: worker.certificate }, /TLS_CERTIFICATE names\) is given alone/],
          [
            "no certificate",
            identified({ ...worker, certificate: worker.key }),
            /TLS_CERTIFICATE names\).*private key/
          ],
          ["no key", identified({ ...worker, key: "hello" }), /TLS_KEY names\).*text of another kind/],
          ["not its key", identified({ ...worker, key: other.key }), /TLS_KEY names\) does not belong to/],
          ["over", identified(over), /TLS_CERTIFICATE names\) expired on .*GMT\. Have a new one issued/]
        ]
        for (const [name, tls, expected] of table) {
          const { failureClass, message } = yield* refusal({ brokers: [broker.mutual], tls })
          assert.strictEqual(failureClass, "misconfigured", name)
          assert.match(message, expected, name)
          assert.include(message, broker.mutual, name)
        }
      })
    )

    it.live("no TLS where the broker speaks it, and the other way round", () =>
      Effect.gen(function* () {
        const without = yield* refusal({ brokers: [broker.tls] })
        assert.strictEqual(without.failureClass, "misconfigured")
        assert.match(without.message, /TLS is spoken there, and this client was told to do without/)
        const { tls: _, ...open } = as("plain", "plain")
        assert.match((yield* refusal(open)).message, /TLS is spoken there/)
        const needless = yield* refusal({ brokers: [broker.open], tls: trusting() })
        assert.strictEqual(needless.failureClass, "misconfigured")
        assert.match(needless.message, /Kafka answers there without TLS/)
      })
    )
  })

  describe("a right that is missing is named, with who lacks it,", () => {
    const lacking = (user: string, body: (log: Log["Service"]) => Effect.Effect<unknown, unknown, Log | Scope.Scope>) =>
      Effect.map(Effect.flip(use(as("scram-sha-256", user), body)), (error) => {
        assert(error instanceof Error && "failureClass" in error)
        assert.strictEqual(error.failureClass, "misconfigured", error.message)
        assert.include(error.message, `User:${user}`)
        for (const secret of secrets) assert.notInclude(error.message, secret)
        return error.message
      })
    const topicFor = (name: string) => use(as("plain", "plain"), (log) => log.ensureTopic({ name, partitions: 1 }))

    it.live("to write to a topic", () =>
      Effect.gen(function* () {
        const topic = unique("secure-topic")
        yield* topicFor(topic)
        const message = yield* lacking("no-write", (log) => log.publish([record(topic, null, "x")]))
        assert.match(message, new RegExp(`TOPIC_AUTHORIZATION_FAILED.*Write.*${topic}`))
      })
    )

    it.live("to make topics", () =>
      Effect.gen(function* () {
        const topic = unique("secure-topic")
        const message = yield* lacking("no-create", (log) => log.ensureTopic({ name: topic, partitions: 1 }))
        assert.match(message, new RegExp(`(TOPIC|CLUSTER)_AUTHORIZATION_FAILED.*Create.*${topic}`))
      })
    )

    it.live("to be in a consumer group", () =>
      Effect.gen(function* () {
        const topic = unique("secure-topic")
        yield* topicFor(topic)
        const group = unique("secure-group")
        const message = yield* lacking("no-group", (log) => log.consume({ group, topics: [topic] }, () => Effect.never))
        assert.match(message, new RegExp(`GROUP_AUTHORIZATION_FAILED.*Read.*${group}`))
      })
    )

    it.live("to use a transactional id", () =>
      Effect.gen(function* () {
        const id = unique("secure-id")
        const message = yield* lacking("no-id", (log) => log.producer(id))
        assert.match(message, new RegExp(`TRANSACTIONAL_ID_AUTHORIZATION_FAILED.*Write.*${id}`))
      })
    )
  })
})
