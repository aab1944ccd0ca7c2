/** What the API has and how it misbehaves. Rates are shares of the requests for records, from 0 to 1. */
export interface SyntheticSettings {
  /** Number of records of each stream; may grow while the API runs. */
  readonly records: number
  /** Records a second that each stream gets, up to that number; 0: all are there at once. Counts from the change of it on. */
  readonly rate: number
  /** Bytes of each record, at least 512; 0: about 390, as they are. */
  readonly recordSize: number
  /** Number of streams, and how far the numbers of their first records are apart. */
  readonly streams: number
  readonly span: number
  /** Number of the first record, so that several APIs have records of their own. */
  readonly first: number
  /** Records of a page unless the request says how many. */
  readonly pageSize: number
  /** Whether requests for records need a token. */
  readonly auth: boolean
  readonly clientId: string
  readonly clientSecret: string
  /** Scopes that the client may have; a request for records needs the first. */
  readonly scopes: ReadonlyArray<string>
  /** `expires_in` of tokens, and after how many seconds they are really refused. */
  readonly tokenLife: number
  readonly trueTokenLife: number
  /** Revokes all tokens before every so many requests for records; 0 never. */
  readonly revokeEvery: number
  /** Share answered with 500. */
  readonly errorRate: number
  /** Share whose connection is closed before an answer. */
  readonly dropRate: number
  /** Share whose connection is closed in the middle of the body. */
  readonly cutRate: number
  /** Share answered with 429, how long it asks to wait (seconds), and in which form. */
  readonly throttleRate: number
  readonly retryAfter: number
  readonly retryAfterForm: "seconds" | "date" | "both"
  /** Milliseconds before each answer. */
  readonly latency: number
  /** Milliseconds before each answer of the token endpoint. */
  readonly tokenLatency: number
}

export const syntheticDefaults: SyntheticSettings = {
  records: 100_000,
  rate: 0,
  recordSize: 0,
  streams: 1,
  span: 1_000_000,
  first: 0,
  pageSize: 1000,
  auth: true,
  clientId: "client",
  clientSecret: "client-secret",
  scopes: ["records.read"],
  tokenLife: 3600,
  trueTokenLife: 3600,
  revokeEvery: 0,
  errorRate: 0,
  dropRate: 0,
  cutRate: 0,
  throttleRate: 0,
  retryAfter: 1,
  retryAfterForm: "seconds",
  latency: 0,
  tokenLatency: 0
}

/** What has happened since the start. */
export interface SyntheticStats {
  /** Requests for records, and how they ended. */
  requests: number
  pages: number
  records: number
  bytes: number
  unauthorized: number
  forbidden: number
  throttled: number
  /** Requests that came before the time that a 429 had asked for; they get 429 again. */
  early: number
  errors: number
  dropped: number
  cut: number
  badRequests: number
  tokenRequests: number
  tokensRefused: number
  /** Largest number of requests for records at one time. */
  mostAtOnce: number
  /** Pages of each stream. */
  readonly pagesOf: Array<number>
}
