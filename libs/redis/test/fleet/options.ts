/** What a fleet is made of and goes through. Times are milliseconds. */
export interface FleetOptions {
  readonly connectors: number
  readonly authorizations: number
  readonly processes: number
  /** Token lives that each authorization goes through. */
  readonly lives: number
  /** How long an access token lives. */
  readonly life: number
  /** Largest number of token requests, in any second. */
  readonly budget: number
  /** How long the authorization server is away. */
  readonly outage: number
  /** What is taken away, to see the proof fail. */
  readonly without: Without
}

/**
 * - `lease`: processes do not keep out of each other's way; the journal and the store still compare.
 * - `journal`: neither lease nor intents, and whoever saves last wins.
 * - `flight`: nor does anybody inside a process wait for another.
 * - `budget`: the rate of token requests is not limited.
 */
export const sabotages = ["nothing", "lease", "journal", "flight", "budget"] as const
export type Without = (typeof sabotages)[number]

/** What each process of the fleet is told. */
export interface WorkerOptions {
  readonly index: number
  readonly fleet: FleetOptions
  readonly redisUrl: string
  readonly prefix: string
  readonly vaultKey: string
  readonly tokenUrl: string
  readonly apiUrl: string
  /** First refresh tokens, one per authorization. */
  readonly first: ReadonlyArray<string>
}

/** What a process says, once in a while. */
export interface WorkerReport {
  /** Tokens that were seen for the first time: authorization, generation, fingerprint. */
  readonly tokens: ReadonlyArray<readonly [number, number, string]>
  /** Failures, by class, with one message of each. */
  readonly failures: Readonly<Record<string, { readonly count: number; readonly message: string }>>
  readonly gets: number
  readonly calls: number
  readonly refused: number
  /** Longest time that a connector waited for a token since the last report. */
  readonly longestWait: number
}

/** How long a process that was killed stays away. */
export const absence = 2000
/** Longest token request of the fleet. */
export const requestTime = 2000
/** Time in which a replaced refresh token is taken again: without it a process killed at the wrong moment costs a consent. */
export const grace = 30_000
