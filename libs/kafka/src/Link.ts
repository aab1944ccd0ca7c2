import { Reader, Writer } from "./Bytes.ts"
import { Broker, ConnectionPool, loggers, makeSocketFactory } from "./KafkajsInternals.ts"
import type { Request } from "./Request.ts"

/** What every connection of a client has in common. Secrets are inside `sasl` and `ssl`; nothing of it is logged. */
export interface LinkOptions {
  readonly clientId: string
  readonly ssl: object | null
  readonly sasl: object | null
  /** Milliseconds. */
  readonly connectionTimeout: number
  readonly requestTimeout: number
}

type Versions = NonNullable<Broker["versions"]>

/** A broker does not know a version of a request that is needed. */
export class TooOld extends Error {
  override readonly name = "TooOld"
}

// What goes wrong is in the errors; kafkajs' own lines would say it twice.
const logger = loggers.createLogger({ level: loggers.LEVELS.NOTHING, logCreator: () => () => {} })
const socketFactory = makeSocketFactory()

/** One connection to one broker, for one request at a time. It connects, and authenticates, at its first use. */
export class Link {
  readonly #pool: ConnectionPool
  readonly #broker: Broker
  readonly #requestTimeout: number
  #closed = false

  constructor(host: string, port: number, options: LinkOptions, versions: Versions | null) {
    this.#requestTimeout = options.requestTimeout
    this.#pool = new ConnectionPool({ host, port, ...options, socketFactory, enforceRequestTimeout: true, logger })
    this.#broker = new Broker({ connectionPool: this.#pool, logger, versions, allowAutoTopicCreation: false })
  }

  /** What the broker speaks; known once connected. */
  get versions(): Versions | null {
    return this.#broker.versions
  }
  /** It was connected and is no more, or was closed. */
  get usable(): boolean {
    return !this.#closed && this.#connection.isConnected()
  }
  get #connection(): ConnectionPool["pool"][number] {
    const connection = this.#pool.pool[0]
    if (connection === undefined) throw new Error("kafkajs' pool has no connection.")
    return connection
  }

  async send<A>(request: Request<A>): Promise<A> {
    await this.#broker.connect()
    const supported = this.#broker.versions?.[request.key]
    if (supported === undefined || supported.minVersion > request.version || supported.maxVersion < request.version)
      throw new TooOld(
        `the broker does not know ${request.name} version ${request.version}; Tributary needs Kafka 2.8 or later`
      )
    // The socket may have been closed while it connected.
    if (this.#closed) throw new Error("the connection was closed")
    return await this.#connection.send<A>({
      request: {
        apiKey: request.key,
        apiVersion: request.version,
        apiName: request.name,
        encode: () => {
          const writer = new Writer()
          // The request header's tagged fields come right after what kafkajs writes of it.
          if (request.flexible) writer.tags()
          request.write(writer)
          const { bytes } = writer
          return Promise.resolve({ buf: bytes, buffer: bytes })
        }
      },
      response: {
        decode: (payload) => {
          const reader = new Reader(payload)
          if (request.flexible) reader.tags()
          return Promise.resolve(request.read(reader))
        },
        parse: (answer) => Promise.resolve(answer)
      },
      requestTimeout: (request.timeout ?? this.#requestTimeout) + (request.wait ?? 0),
      logResponseError: false
    })
  }

  /** At once: a request that is under way fails. */
  close(): void {
    this.#closed = true
    for (const connection of this.#pool.pool) {
      connection.rejectRequests(new Error("the connection was closed"))
      connection.socket?.destroy()
      // It waits for nothing more, as there are no requests left.
      void connection.disconnect()
    }
  }
}
