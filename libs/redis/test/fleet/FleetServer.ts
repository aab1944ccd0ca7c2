import { AuthState, defaultClient } from "@tributary/testkit"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { grace } from "./options.ts"

/** A token request as the server saw it. `at` is in milliseconds. */
export interface SeenRequest {
  readonly at: number
  readonly authorization: number
  /** Which refresh token of the authorization was presented, counted from 0. */
  readonly life: number
  readonly status: number
}

export const now = () => performance.timeOrigin + performance.now()
export const tokenFingerprint = (token: string) => createHash("sha256").update(token).digest("base64url").slice(0, 12)

const bodyOf = async (request: IncomingMessage) => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString()
}

const answer = (response: ServerResponse, status: number, body: unknown) => {
  response.writeHead(status, { "content-type": "application/json" })
  response.end(JSON.stringify(body))
}

/** The strict authorization server of the testkit, with an API beside it, which takes note of every token request. */
export const startFleetServer = Effect.fnUntraced(function* (authorizations: number, life: number) {
  const state = new AuthState({
    clients: [defaultClient],
    tokenLife: life / 1000,
    refreshTokenLife: undefined,
    rotate: true,
    graceMs: grace,
    now
  })
  const first = Array.from({ length: authorizations }, () => state.issueRefreshToken(defaultClient.id))
  const known = new Map(first.map((token, authorization) => [token, { authorization, life: 0 }]))
  const seen: Array<SeenRequest> = []
  const issued = new Set<string>()
  const api = { calls: 0, refused: 0 }
  let isBusy = false

  const token = async (request: IncomingMessage, response: ServerResponse) => {
    const at = now()
    const body = await bodyOf(request)
    const presented = known.get(new URLSearchParams(body).get("refresh_token") ?? "")
    const reply = isBusy
      ? { status: 503, body: { error: "temporarily_unavailable" } }
      : state.token(request.headers.authorization, request.headers["content-type"], body)
    seen.push({ at, authorization: presented?.authorization ?? -1, life: presented?.life ?? -1, status: reply.status })
    if (reply.status === 200 && presented !== undefined && "refresh_token" in reply.body) {
      known.set(String(reply.body["refresh_token"]), { ...presented, life: presented.life + 1 })
      issued.add(tokenFingerprint(String(reply.body["access_token"])))
    }
    answer(response, reply.status, reply.body)
  }

  const server = createServer((request, response) => {
    if (request.url === "/token") {
      token(request, response).catch(() => response.destroy())
      return
    }
    api.calls++
    const isActive = state.validate((request.headers.authorization ?? "").replace("Bearer ", "")).active
    if (!isActive) api.refused++
    answer(response, isActive ? 200 : 401, {})
  })
  const listen = (port: number) =>
    Effect.promise(() => new Promise<void>((resolve) => void server.listen(port, "127.0.0.1", resolve)))
  const close = Effect.promise(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  )
  yield* listen(0)
  yield* Effect.addFinalizer(() => close)
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  const url = `http://127.0.0.1:${port}`
  return {
    tokenUrl: `${url}/token`,
    apiUrl: `${url}/api`,
    first,
    seen,
    issued,
    api,
    stats: state.stats,
    /** Nothing listens any more. */
    goAway: close,
    /** Answers 503 from now on, so that what comes can be counted. */
    comeBackBusy: Effect.suspend(() => {
      isBusy = true
      return listen(port)
    }),
    recover: Effect.sync(() => {
      isBusy = false
    })
  }
})
export type FleetServer = Effect.Success<ReturnType<typeof startFleetServer>>
