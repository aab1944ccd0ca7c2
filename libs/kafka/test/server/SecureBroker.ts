import { freePorts } from "@tributary/testkit"
import { Effect, type Scope } from "effect"
import { mkdirSync } from "node:fs"
import type { BrokerFailed } from "./Broker.ts"
import { makeAuthority } from "./Certificates.ts"
import { startCluster } from "./KafkaCluster.ts"
import { quick } from "./TestBroker.ts"

/** A broker with access control, whose users have to say who they are. */
export interface SecureBroker {
  /** SASL over TLS. The certificate is for the name `localhost` only. */
  readonly sasl: string
  /** TLS with a certificate of the client's. */
  readonly mutual: string
  /** TLS without any identity. */
  readonly tls: string
  /** The same, with a certificate that is over. */
  readonly expired: string
  /** Neither: for the tests' own administration, with all rights. */
  readonly open: string
  readonly authority: ReturnType<typeof makeAuthority>
}

const login = "org.apache.kafka.common.security"

/**
 * Starts it in a directory. Each user has its password for PLAIN, for SCRAM-SHA-256 and for SCRAM-SHA-512; nobody has any right
 * yet but those without identity, who may do everything. OAUTHBEARER takes unsigned tokens.
 */
export const startSecureBroker = Effect.fn("SecureBroker.start")(function* (options: {
  readonly directory: string
  readonly users: Readonly<Record<string, string>>
}): Effect.fn.Return<SecureBroker, BrokerFailed, Scope.Scope> {
  const { directory, users } = options
  const authority = yield* Effect.sync(() => {
    mkdirSync(directory, { recursive: true })
    return makeAuthority(directory, "authority")
  })
  const server = yield* Effect.sync(() => authority.issue("server", "/CN=broker", "DNS:localhost"))
  const stale = yield* Effect.sync(() => authority.issue("stale", "/CN=broker", "DNS:localhost", 0))
  const [mutual = 0, tls = 0, open = 0, expired = 0] = yield* Effect.promise(() => freePorts(4))
  const plain = Object.entries(users).map(([name, password]) => `user_${name}="${password}"`)
  const cluster = yield* startCluster({
    nodes: 1,
    directory,
    scram: Object.entries(users).flatMap(([name, password]) =>
      ["SCRAM-SHA-256", "SCRAM-SHA-512"].map((mechanism) => `${mechanism}=[name=${name},password=${password}]`)
    ),
    config: ({ controllerPort, port }) => {
      const listeners = [
        `SASL://localhost:${port}`,
        `MUTUAL://localhost:${mutual}`,
        `TLS://localhost:${tls}`,
        `EXPIRED://localhost:${expired}`,
        `OPEN://localhost:${open}`
      ].join(",")
      return {
        ...quick,
        // It is never restarted, so nobody waits for it to be taken for gone.
        "broker.session.timeout.ms": "30000",
        listeners: `${listeners},CONTROLLER://127.0.0.1:${controllerPort}`,
        "advertised.listeners": listeners,
        "listener.security.protocol.map":
          "SASL:SASL_SSL,MUTUAL:SSL,TLS:SSL,EXPIRED:SSL,OPEN:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "OPEN",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": server.storeFile,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": authority.certificateFile,
        "listener.name.expired.ssl.keystore.type": "PEM",
        "listener.name.expired.ssl.keystore.location": stale.storeFile,
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.sasl.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        "listener.name.sasl.plain.sasl.jaas.config": `${login}.plain.PlainLoginModule required ${plain.join(" ")};`,
        "listener.name.sasl.scram-sha-256.sasl.jaas.config": `${login}.scram.ScramLoginModule required;`,
        "listener.name.sasl.scram-sha-512.sasl.jaas.config": `${login}.scram.ScramLoginModule required;`,
        "listener.name.sasl.oauthbearer.sasl.jaas.config": `${login}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS"
      }
    }
  })
  const [broker] = cluster.nodes
  return {
    sasl: `localhost:${broker?.address.split(":")[1] ?? 0}`,
    mutual: `localhost:${mutual}`,
    tls: `localhost:${tls}`,
    expired: `localhost:${expired}`,
    open: `localhost:${open}`,
    authority
  }
})
