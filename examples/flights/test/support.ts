import { startApi } from "../api/server.ts"
import { type ApiSettings, defaults } from "../api/settings.ts"

const client = { clientId: "tributary", clientSecret: "a secret of the tests" }

/** The API with everything there and no faults, unless said otherwise. */
export const start = (settings: Partial<ApiSettings> = {}) =>
  startApi({ ...defaults, ...client, once: true, rateLimit: 0, errorRate: 0, dropRate: 0, ...settings })

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

// oxlint-disable-next-line eslint/no-restricted-globals -- a client that is not Tributary's own
const request = fetch

/** Asks for a token as RFC 6749, section 4.4 has it. */
export const tokenAnswer = async (issuer: string, scope?: string, secret = client.clientSecret): Promise<Answer> => {
  const answer = await request(`${issuer}/token`, {
    method: "POST",
    headers: {
      authorization: `Basic ${Buffer.from(`${client.clientId}:${encodeURIComponent(secret)}`).toString("base64")}`
    },
    body: new URLSearchParams({ grant_type: "client_credentials", ...(scope === undefined ? {} : { scope }) })
  })
  return { status: answer.status, headers: answer.headers, body: await answer.json() }
}

/** A field of a JSON value that is not known to have it. */
export const member = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? Object.entries(value).find(([key]) => key === name)?.[1] : undefined

export const token = async (issuer: string, scope: string | undefined = "flights.read"): Promise<string> =>
  String(member((await tokenAnswer(issuer, scope)).body, "access_token"))

export const get = async (address: string, bearer?: string): Promise<Answer> => {
  const answer = await request(address, bearer === undefined ? {} : { headers: { authorization: `Bearer ${bearer}` } })
  return { status: answer.status, headers: answer.headers, body: await answer.json() }
}

/** The list that an answer is, or has under a name. */
export const items = (body: unknown, name?: string): ReadonlyArray<unknown> => {
  const list = name === undefined ? body : member(body, name)
  if (!Array.isArray(list)) throw new Error(`No list in ${JSON.stringify(body)}`)
  return list
}
