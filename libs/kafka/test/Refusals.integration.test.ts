import { it } from "@effect/vitest"
import { Log, LogError } from "@tributary/log"
import { eventually, makeTopic, readAll, record, unique, values } from "@tributary/log/testing"
import { freePort } from "@tributary/testkit"
import { Duration, Effect, Exit, Layer, Logger, Redacted, Schedule, Scope } from "effect"
import {
  type Admin,
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  ConfigResourceTypes,
  Kafka,
  logLevel,
  ResourcePatternTypes
} from "kafkajs"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe } from "vitest"
import { KafkaLog } from "../src/index.ts"
import { missing } from "./fixtures/FaultyBroker.ts"
import { quick, startCluster } from "./server/KafkaServer.ts"

const login = "org.apache.kafka.common.security"
let plain = ""
let sasl = ""
let admin: Admin
const scope = Scope.makeUnsafe()
const directory = mkdtempSync(join(tmpdir(), "tributary-kafka-"))

const alice: KafkaLog.Sasl = { mechanism: "plain", username: "alice", password: Redacted.make("alice-secret") }
/** Without access control, unless a test logs in. */
const use = <A, E>(
  body: (log: Log["Service"]) => Effect.Effect<A, E, Log | Scope.Scope>,
  own: Partial<KafkaLog.KafkaLogOptions> = {}
) =>
  Effect.suspend(() => {
    const options: KafkaLog.KafkaLogOptions = {
      brokers: [own.sasl === undefined ? plain : sasl],
      compression: "none",
      patience: Duration.seconds(1),
      sessionTimeout: Duration.seconds(6)
    }
    return Effect.flatMap(Log, body).pipe(Effect.provide(Layer.fresh(KafkaLog.layer({ ...options, ...own }))))
  })
const asAlice = <A, E>(body: (log: Log["Service"]) => Effect.Effect<A, E, Log | Scope.Scope>) =>
  use(body, { sasl: alice })
const refusal = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.instanceOf(error, LogError)
    return { message: error.message, failureClass: error.failureClass, reason: error.reason._tag }
  })
const grantSchedule = Schedule.upTo(Schedule.spaced("50 millis"), { times: 200 })
const change = (work: () => Promise<unknown>) => Effect.promise(work)
const grant = (resourceType: AclResourceTypes, resourceName: string, operation: AclOperationTypes) =>
  change(() =>
    admin.createAcls({
      acl: [
        {
          resourceType,
          resourceName,
          resourcePatternType: ResourcePatternTypes.LITERAL,
          principal: "User:alice",
          host: "*",
          operation,
          permissionType: AclPermissionTypes.ALLOW
        }
      ]
    })
  )
const setTopic = (name: string, setting: string, value: string) =>
  change(() =>
    admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name, configEntries: [{ name: setting, value }] }]
    })
  )
/** A server that is no Kafka. */
const stranger = (greet: (socket: Socket) => void) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const server = createServer((socket) => {
          socket.on("error", () => socket.destroy())
          socket.once("data", () => greet(socket))
        })
        await once(server.listen(0, "127.0.0.1"), "listening")
        return server
      }),
      (server) => Effect.sync(() => server.close())
    ),
    (server) => {
      const address = server.address()
      return `127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
    }
  )

describe.skipIf(missing !== undefined)(`What Kafka refuses${missing ? ` (${missing})` : ""}`, () => {
  beforeAll(async () => {
    const open = await freePort()
    const cluster = await Effect.runPromise(
      startCluster({
        nodes: 1,
        directory,
        config: (place) => ({
          ...quick,
          listeners: `SASL_PLAINTEXT://127.0.0.1:${place.port},PLAINTEXT://127.0.0.1:${open},CONTROLLER://127.0.0.1:${place.controllerPort}`,
          "advertised.listeners": `SASL_PLAINTEXT://127.0.0.1:${place.port},PLAINTEXT://127.0.0.1:${open}`,
          "listener.security.protocol.map": "SASL_PLAINTEXT:SASL_PLAINTEXT,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
          "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
          "listener.name.sasl_plaintext.plain.sasl.jaas.config": `${login}.plain.PlainLoginModule required user_alice="alice-secret";`,
          "listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config": `${login}.scram.ScramLoginModule required;`,
          "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
          "super.users": "User:ANONYMOUS"
        })
      }).pipe(Scope.provide(scope))
    )
    sasl = cluster.brokers
    plain = `127.0.0.1:${open}`
    admin = new Kafka({ brokers: [plain], logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
  }, 240_000)
  afterAll(async () => {
    await admin.disconnect()
    await Effect.runPromise(Scope.close(scope, Exit.void))
    rmSync(directory, { recursive: true, force: true })
  })

  describe("opening", () => {
    const opening = (brokers: ReadonlyArray<string>, own: Partial<KafkaLog.KafkaLogOptions> = {}) =>
      refusal(use(() => Effect.void, { ...own, brokers }))

    it.live("where nobody is, or nobody knows the name: to be tried again", () =>
      Effect.gen(function* () {
        const nobody = yield* opening(["127.0.0.1:9"])
        assert.strictEqual(nobody.failureClass, "transient")
        assert.match(nobody.message, /Kafka at 127\.0\.0\.1:9: .*ECONNREFUSED/)
        const unknown = yield* opening(["kafka.invalid:9092"])
        assert.strictEqual(unknown.failureClass, "transient")
        assert.match(unknown.message, /Kafka at kafka\.invalid:9092: .*(ENOTFOUND|EAI_AGAIN)/)
      })
    )

    it.live("where something else answers: says what", () =>
      Effect.gen(function* () {
        const web = yield* stranger((socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"))
        const asked = yield* opening([web])
        assert.strictEqual(asked.failureClass, "misconfigured")
        assert.match(asked.message, /a web server answers there, not Kafka/)
        const tls = yield* stranger((socket) => socket.end(Buffer.from([0x15, 3, 3, 0, 2, 2, 40])))
        assert.match((yield* opening([tls])).message, /TLS is spoken there/)
        const redis = yield* stranger((socket) => socket.write("-ERR unknown command\r\n"))
        assert.match((yield* opening([redis])).message, /not Kafka; its answer begins with "-ERR unknown command/)
        const encrypted = yield* opening([plain], { tls: true })
        assert.strictEqual(encrypted.failureClass, "misconfigured")
        assert.match(encrypted.message, /Kafka answers there without TLS/)
      })
    )

    it.live("with a wrong password, or as nobody: says so, and not the password", () =>
      Effect.gen(function* () {
        for (const mechanism of ["plain", "scram-sha-256"] as const) {
          const wrong = yield* opening([sasl], {
            sasl: { mechanism, username: "alice", password: Redacted.make("not-the-password") }
          })
          assert.strictEqual(wrong.failureClass, "misconfigured", wrong.message)
          assert.match(wrong.message, /[Aa]uthentication/)
          assert.notInclude(wrong.message, "not-the-password")
        }
        const nobody = yield* refusal(use(() => Effect.void, { brokers: [sasl] }))
        assert.strictEqual(nobody.failureClass, "transient")
        assert.match(
          nobody.message,
          /Closed connection; if the brokers ask for a login \(SASL\), name user and password/
        )
        const needless = yield* opening([plain], { sasl: alice })
        assert.strictEqual(needless.failureClass, "misconfigured")
        assert.match(needless.message, /this listener knows no login/)
      })
    )
  })

  it.live("what a principal may not do: names it, and how to grant it; once granted it goes on", () =>
    Effect.gen(function* () {
      const { name } = yield* use(() => makeTopic())
      const group = unique("group")
      const id = unique("id")
      // The broker learns of a grant a moment later.
      const needs = <A, E, R>(call: Effect.Effect<A, E, R>, words: string) =>
        Effect.gen(function* () {
          const refused = yield* eventually(refusal(call), ({ message }) =>
            message.includes(`User:alice needs the operation ${words}`)
          )
          assert.strictEqual(refused.failureClass, "misconfigured")
          return refused.message
        })
      const soon = <A, R>(call: Effect.Effect<A, LogError, R>) =>
        Effect.retry(call, { while: ({ reason }) => reason._tag === "LogUnusable", schedule: grantSchedule })
      yield* asAlice((log) =>
        Effect.gen(function* () {
          const fresh = unique("fresh")
          const creating = yield* needs(
            log.ensureTopic({ name: fresh, partitions: 1 }),
            `Create on the topic "${fresh}"`
          )
          assert.include(
            creating,
            `kafka-acls.sh --bootstrap-server ${sasl} --add --allow-principal "User:alice" --operation Create --topic "${fresh}"`
          )
          const topic = AclResourceTypes.TOPIC
          yield* needs(log.offsets(name), `Describe on the topic "${name}"`)
          yield* grant(topic, name, AclOperationTypes.DESCRIBE)
          yield* needs(log.offsets(name), `DescribeConfigs on the topic "${name}"`)
          yield* grant(topic, name, AclOperationTypes.DESCRIBE_CONFIGS)
          yield* soon(log.offsets(name))

          const limits = { maxRecords: 1, maxBytes: 1, wait: Duration.zero }
          yield* needs(log.read(name, 0, 0, limits), `Read on the topic "${name}"`)
          yield* grant(topic, name, AclOperationTypes.READ)
          yield* soon(log.read(name, 0, 0, limits))

          yield* needs(Effect.scoped(log.producer(id)), `Write on the transactional-id "${id}"`)
          yield* grant(AclResourceTypes.TRANSACTIONAL_ID, id, AclOperationTypes.WRITE)
          const producer = yield* soon(log.producer(id))
          const records = [record(name, null, "a")]
          yield* needs(producer.transact({ records }), `Write on the topic "${name}"`)
          yield* grant(topic, name, AclOperationTypes.WRITE)
          yield* soon(producer.transact({ records }))
          assert.deepStrictEqual(values(yield* readAll(name)), ["a"])

          const joining = log.consume({ group, topics: [name] }, () => Effect.fail("joined" as const))
          yield* needs(joining, `Read on the group "${group}"`)
          yield* grant(AclResourceTypes.GROUP, group, AclOperationTypes.READ)
          yield* eventually(Effect.flip(joining), (end) => end === "joined")

          yield* grant(topic, name, AclOperationTypes.CREATE)
          yield* needs(log.ensureTopic({ name, partitions: 1, retentionBytes: 1e6 }), "AlterConfigs on the topic")
          yield* grant(topic, name, AclOperationTypes.ALTER_CONFIGS)
          // More partitions than there are, and not allowed to add some.
          yield* needs(log.ensureTopic({ name, partitions: 2, retentionBytes: 1e6 }), `Alter on the topic "${name}"`)
        })
      )
    })
  )

  it.live(
    "a topic with fewer partitions is given more, or stays as it is when it is compacted; both are said once",
    () => {
      const lines: Array<string> = []
      const heard = Logger.layer([Logger.make(({ message }) => lines.push(String(message)))])
      return use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          const compacted = yield* makeTopic({ compacted: true })
          for (let i = 0; i < 2; i++) {
            assert.strictEqual((yield* log.ensureTopic({ name, partitions: 3 })).partitions, 3)
            const same = yield* log.ensureTopic({ name: compacted.name, partitions: 3, compacted: true })
            assert.strictEqual(same.partitions, 1)
          }
          assert.strictEqual(lines.length, 2, lines.join("\n"))
          assert.match(
            lines[0] ?? "",
            new RegExp(`Topic ${name} has 1 partition, and 3 are configured: .*most keys go to another`)
          )
          assert.match(
            lines[1] ?? "",
            new RegExp(`Topic ${compacted.name} has 1 partition, and 3 are configured. It stays so`)
          )
          const other = yield* refusal(log.ensureTopic({ name, partitions: 3, compacted: true }))
          assert.match(other.message, /is not compacted, and that cannot change. Delete it/)
        })
      ).pipe(Effect.provide(heard))
    }
  )

  it.live(
    "a record that is too large: names the topic, its size and the limit; smaller ones of a small topic pass",
    () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          yield* setTopic(name, "max.message.bytes", "20000")
          const large = yield* refusal(log.publish([{ topic: name, key: null, value: Buffer.alloc(50_000, "x") }]))
          assert.match(
            large.message,
            new RegExp(
              `writing to ${name}/0: MESSAGE_TOO_LARGE \\(50\\d\\d\\d bytes; topic ${name} takes at most 20000`
            )
          )
          // Together they would be too large for one batch.
          yield* log.publish(
            Array.from({ length: 30 }, () => ({ topic: name, key: null, value: Buffer.alloc(5000, "x") }))
          )
          assert.strictEqual((yield* readAll(name)).length, 30)
        })
      )
  )

  it.live("settings that the brokers do not allow: says which", () =>
    Effect.gen(function* () {
      const long = yield* refusal(use((log) => log.producer(unique("id")), { transactionTimeout: Duration.hours(1) }))
      assert.strictEqual(long.failureClass, "misconfigured")
      assert.match(long.message, /transactions of up to 3600000 ms.*transaction\.max\.timeout\.ms/)
      const replicas = yield* refusal(
        use((log) => log.ensureTopic({ name: unique("topic"), partitions: 1 }), { replication: 3 })
      )
      assert.strictEqual(replicas.failureClass, "misconfigured")
      assert.match(replicas.message, /fewer brokers than a topic shall have replicas/)
      const session = yield* use(
        (log) =>
          Effect.gen(function* () {
            const { name } = yield* makeTopic()
            return yield* refusal(log.consume({ group: unique("group"), topics: [name] }, () => Effect.never))
          }),
        { sessionTimeout: Duration.hours(1) }
      )
      assert.strictEqual(session.failureClass, "misconfigured")
      assert.match(session.message, /session timeout of 3600000 ms.*group\.max\.session\.timeout\.ms/)
    })
  )
})
