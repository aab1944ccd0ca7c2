/** How the API behaves. Rates are shares of requests, between 0 and 1. */
export interface ApiSettings {
  /** Address to listen on. */
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  /** What others reach it under, as in `http://api:7480`; by default `http://127.0.0.1:` and the port. */
  readonly url: string | undefined
  readonly clientId: string
  readonly clientSecret: string
  /** Life of an access token, seconds. */
  readonly tokenLife: number
  /** Records of a page when the request does not say. */
  readonly pageSize: number
  /** All of January is there at once; otherwise the flights after `historyDays` appear as simulated time passes. */
  readonly once: boolean
  /** Days of January that are there from the start. */
  readonly historyDays: number
  /** Simulated seconds per second. */
  readonly speed: number
  /** Requests per second (and the largest burst) beyond which the answer is 429; 0 for no limit. */
  readonly rateLimit: number
  /** Share of requests answered with 500. */
  readonly errorRate: number
  /** Share of requests whose connection is cut, half of them in the middle of the body. */
  readonly dropRate: number
  /** Share of token requests answered with 500. */
  readonly tokenErrorRate: number
  /** Seed of the faults: the same seed and the same order of requests give the same faults. */
  readonly seed: number
}

export const defaults: Omit<ApiSettings, "clientId" | "clientSecret"> = {
  host: "127.0.0.1",
  port: 0,
  url: undefined,
  tokenLife: 30,
  pageSize: 500,
  once: false,
  historyDays: 25,
  speed: 3600,
  rateLimit: 50,
  errorRate: 0.01,
  dropRate: 0.005,
  tokenErrorRate: 0,
  seed: 1
}
