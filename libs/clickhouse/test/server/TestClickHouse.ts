import type { Endpoint } from "../../src/Endpoint.ts"

/** A server that is the tests' own, so that they may end it. */
export interface TestClickHouse {
  readonly endpoint: Endpoint
  /** Ends the server at once, as a crash does. */
  readonly kill: () => Promise<void>
  /** Starts it again on its data, after `kill`. */
  readonly restart: () => Promise<void>
  /** Ends it and removes its data. */
  readonly stop: () => Promise<void>
}
