// The parts of kafkajs 2.2.4 below its public interface that this package builds on: a connection (TCP, TLS, SASL, framing, time
// limits, throttling) and the checksum of record batches. The version is pinned.
declare module "kafkajs/src/network/connectionPool.js" {
  class ConnectionPool {
    constructor(options: {
      readonly host: string
      readonly port: number
      readonly ssl: object | null
      readonly sasl: object | null
      readonly clientId: string
      readonly socketFactory: unknown
      readonly connectionTimeout: number
      readonly requestTimeout: number
      readonly enforceRequestTimeout: boolean
      readonly logger: unknown
    })
    readonly pool: ReadonlyArray<{
      readonly socket?: { destroy: () => void }
      isConnected(): boolean
      rejectRequests(error: Error): void
      disconnect(): Promise<boolean>
      send<A>(request: {
        readonly request: {
          readonly apiKey: number
          readonly apiVersion: number
          readonly apiName: string
          readonly encode: () => Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>
        }
        readonly response: {
          readonly decode: (payload: Buffer) => Promise<A>
          readonly parse: (decoded: A) => Promise<A>
        }
        readonly requestTimeout: number
        readonly logResponseError: boolean
      }): Promise<A>
    }>
  }
  export = ConnectionPool
}
declare module "kafkajs/src/broker/index.js" {
  class Broker {
    constructor(options: {
      readonly connectionPool: unknown
      readonly logger: unknown
      readonly versions: object | null
      readonly allowAutoTopicCreation: boolean
    })
    versions: Readonly<Record<number, { readonly minVersion: number; readonly maxVersion: number }>> | null
    connect(): Promise<void>
  }
  export = Broker
}
declare module "kafkajs/src/loggers/index.js" {
  const loggers: {
    readonly createLogger: (options: { readonly level: number; readonly logCreator: () => () => void }) => unknown
    readonly LEVELS: { readonly NOTHING: number }
  }
  export = loggers
}
declare module "kafkajs/src/network/socketFactory.js" {
  const factory: () => unknown
  export = factory
}
declare module "kafkajs/src/protocol/recordBatch/crc32C/index.js" {
  const crc32c: (bytes: Uint8Array) => number
  export = crc32c
}
declare module "kafkajs/src/network/requestQueue/index.js" {
  class RequestQueue {
    constructor(options: {
      readonly requestTimeout: number
      readonly enforceRequestTimeout: boolean
      readonly clientId: string
      readonly broker: string
      readonly logger: { readonly debug: () => void }
    })
    readonly throttleCheckTimeoutId: unknown
    checkPendingRequests(): void
    destroy(): void
  }
  export = RequestQueue
}
