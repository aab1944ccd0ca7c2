import { Schema } from "effect"

/** A request to Redis failed. The message never holds what was sent: that may be a password or a token. */
export class RedisError extends Schema.TaggedError<RedisError>()("RedisError", {
  /** Address without credentials. */
  server: Schema.String,
  problem: Schema.String,
  failureClass: Schema.Literals(["transient", "misconfigured"])
}) {
  override get message(): string {
    return `Redis at ${this.server}: ${this.problem}`
  }
}

interface Meaning {
  readonly problem: string
  readonly failureClass: RedisError["failureClass"]
}

const transient = (problem: string): Meaning => ({ problem, failureClass: "transient" })
const misconfigured = (problem: string): Meaning => ({ problem, failureClass: "misconfigured" })

/** What Redis answers, by the first word of its error. */
const answers: Readonly<Record<string, Meaning>> = {
  NOAUTH: misconfigured(
    "it asks for a password and none was given. Set the password, and the user if it is not `default`."
  ),
  WRONGPASS: misconfigured("it does not accept the user or the password, or the user is disabled. Correct them."),
  NOPERM: misconfigured(
    "the user may not do what is needed. Allow it the commands EVAL, EVALSHA, GET, SET, DEL, HGET, HMGET, HSET, HDEL, ZADD, TIME, INFO and their like on the keys with the configured prefix."
  ),
  OOM: transient("its memory is full and it refuses writes. Raise `maxmemory` or remove data of others."),
  READONLY: transient(
    "it is a read-only replica. It is tried again, in case a failover is under way; if this stays, correct the address to that of the primary."
  ),
  LOADING: transient("it has just started and is still loading its data. It is tried again."),
  BUSY: transient("it is busy with a script of somebody else. It is tried again."),
  MASTERDOWN: transient(
    "it is a replica that has lost its primary. It is tried again; correct the address if this stays."
  ),
  MISCONF: transient("it refuses writes because it cannot save to its disk. Look at its log and make room there."),
  WRONGTYPE: misconfigured(
    "a key with the configured prefix was made by another program. Choose a prefix, or a database, that is Tributary's alone."
  ),
  MOVED: misconfigured("it is part of a Redis Cluster, which is not supported. Give the address of a single server."),
  CROSSSLOT: misconfigured(
    "it is part of a Redis Cluster, which is not supported. Give the address of a single server."
  ),
  CLUSTERDOWN: misconfigured(
    "it is part of a Redis Cluster, which is not supported. Give the address of a single server."
  )
}

/** What the connection meets, by the code that Node.js gives. */
const codes: Readonly<Record<string, Meaning>> = {
  ECONNREFUSED: transient("nothing listens there (ECONNREFUSED). Start Redis, or correct the address."),
  ENOTFOUND: transient("the host name is not known (ENOTFOUND). Correct the address, or check the name server."),
  EAI_AGAIN: transient("the name server does not answer (EAI_AGAIN)."),
  EHOSTUNREACH: transient("the host cannot be reached (EHOSTUNREACH). Check the address and the network."),
  ENETUNREACH: transient("the network cannot be reached (ENETUNREACH)."),
  ETIMEDOUT: transient("the connection cannot be made in time (ETIMEDOUT). Check the address and the firewall."),
  ECONNRESET: transient("the connection was broken (ECONNRESET). If this stays, check whether the server expects TLS."),
  EPIPE: transient("the connection was broken (EPIPE)."),
  ERR_SSL_WRONG_VERSION_NUMBER: misconfigured(
    "it does not speak TLS on this port. Write redis:// instead of rediss://, or correct the port."
  ),
  ERR_SSL_PACKET_LENGTH_TOO_LONG: misconfigured(
    "it does not speak TLS on this port. Write redis:// instead of rediss://, or correct the port."
  ),
  ERR_TLS_CERT_ALTNAME_INVALID: misconfigured(
    "its certificate is for another host name. Correct the address, or set the server name of the TLS options."
  ),
  CERT_HAS_EXPIRED: misconfigured("its certificate has expired. Renew it."),
  DEPTH_ZERO_SELF_SIGNED_CERT: misconfigured("its certificate is self-signed. Give it as `ca` of the TLS options."),
  SELF_SIGNED_CERT_IN_CHAIN: misconfigured(
    "its certificate is signed by an authority that is not known. Give that authority's certificate as `ca` of the TLS options."
  ),
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: misconfigured(
    "its certificate is signed by an authority that is not known. Give that authority's certificate as `ca` of the TLS options."
  ),
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: misconfigured(
    "its certificate is signed by an authority that is not known. Give that authority's certificate as `ca` of the TLS options."
  )
}

const texts: ReadonlyArray<readonly [RegExp, Meaning]> = [
  [
    /Protocol error|RESP type/i,
    misconfigured("what listens there does not speak the Redis protocol. Correct the address.")
  ],
  [
    /invalid DB index|DB index is out of range/i,
    misconfigured("it does not have the database that the address names. Correct the number at the end of the address.")
  ],
  [/max number of clients/i, transient("it has as many clients as it allows. Raise its `maxclients`.")],
  [
    /connection is closed|retries per request|isn't writeable|Connection closed/i,
    transient("the connection was closed. It is made anew. If this stays, check whether the server expects TLS.")
  ]
]

const meaningOf = (error: unknown): Meaning => {
  if (!(error instanceof Error)) return transient("the request failed for a reason that was not told.")
  const code = "code" in error && typeof error.code === "string" ? codes[error.code] : undefined
  if (code !== undefined) return code
  // Errors of scripts are wrapped: "ERR Error running script: ... -OOM command not allowed", with the original word inside.
  const words = error.message.match(/\b[A-Z]{3,}\b/g) ?? []
  for (const word of words) {
    const answer = answers[word]
    if (answer !== undefined) return answer
  }
  for (const [pattern, meaning] of texts) if (pattern.test(error.message)) return meaning
  // Redis quotes the arguments of a command that it does not know.
  const said = error.message.split(/, with args/)[0]?.slice(0, 200) ?? ""
  return transient(`it answered "${said}".`)
}

/** Says what an error of the client library means. The library's error itself is dropped: it holds what was sent. */
export const toRedisError = (server: string, error: unknown): RedisError =>
  error instanceof RedisError ? error : new RedisError({ server, ...meaningOf(error) })
