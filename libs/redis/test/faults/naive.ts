import { TokenTransport } from "@tributary/oauth"
import type { AuthServer, Fault } from "@tributary/testkit"
import { type StoredTokens, TokenStore } from "@tributary/vault"
import { Clock, Effect, Option, Redacted, Schema } from "effect"
import type { Case, Verdict } from "./matrix.ts"

const decode = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({ access_token: Schema.String, refresh_token: Schema.optionalKey(Schema.String) })
  )
)

/** What most clients do: read the refresh token, send it, save the answer; on failure the same again. */
export const naive = (plan: Case, id: string, server: AuthServer, first: string, fault: Fault | "none") =>
  Effect.gen(function* () {
    const store = yield* TokenStore
    const transport = yield* TokenTransport
    let downUntil = 0
    /** A process: the tokens in its memory. */
    const newProcess = (kill: Case["kill"], trouble: Case["trouble"]) => {
      let memory: string | undefined
      let access: string | undefined
      let hasStruck = false
      const refresh = Effect.gen(function* () {
        const stored = Option.getOrUndefined(yield* store.load(id))
        const kept = stored?.refreshToken === undefined ? first : Redacted.value(stored.refreshToken)
        const token = memory ?? kept
        if (kill === "before intent" || kill === "after intent" || kill === "before send") return "dead" as const
        const body = new URLSearchParams({
          grant_type: "refresh_token",
          refresh_token: token,
          client_id: "client",
          client_secret: "client-secret"
        }).toString()
        const headers = { "content-type": "application/x-www-form-urlencoded" }
        const answer = yield* transport
          .send({ method: "POST", url: server.tokenUrl, contents: Redacted.make({ headers, body }) })
          .pipe(Effect.timeout(1000), Effect.option)
        if (kill === "before reply" || kill === "before save") return "dead" as const
        if (Option.isNone(answer)) return "failed" as const
        const tokens = Option.getOrUndefined(decode(answer.value.body))
        if (tokens === undefined) return answer.value.status === 400 ? ("refused" as const) : ("failed" as const)
        memory = tokens.refresh_token ?? token
        access = tokens.access_token
        const now = yield* Clock.currentTimeMillis
        if (trouble === "store slow") yield* Effect.sleep(700)
        if (!hasStruck && (trouble === "store down at save" || trouble === "store down at intent"))
          downUntil = now + 1000
        hasStruck = true
        if (now < downUntil) return "failed" as const
        const next: Omit<StoredTokens, "generation"> = {
          accessToken: Redacted.make(tokens.access_token),
          tokenType: "Bearer",
          expiresAt: undefined,
          obtainedAt: now,
          refreshToken: Redacted.make(memory),
          scopes: [],
          settings: "",
          seed: undefined
        }
        const current = Option.getOrUndefined(yield* store.load(id))
        yield* Effect.ignore(store.save(id, current?.generation ?? 0, next))
        return kill === "after save" ? ("dead" as const) : ("done" as const)
      })
      return { refresh, isValid: () => access !== undefined && server.validate(access).active }
    }
    yield* newProcess("none", "none").refresh
    server.control.next(fault)
    const one = newProcess(plan.kill, plan.trouble)
    const two = newProcess("none", "none")
    // Without a lease nothing keeps the second process from starting at once; that it does is what is called a lost lease.
    const outcome =
      plan.trouble === "lease lost"
        ? (yield* Effect.all([one.refresh, two.refresh], { concurrency: 2 }))[0]
        : yield* one.refresh
    const alive = outcome === "dead" ? [two] : [one, two]
    let said = ""
    for (const client of alive) {
      for (let round = 0; round < 2; round++) {
        said = yield* client.refresh
        for (let attempt = 0; said === "failed" && attempt < 15; attempt++) {
          said = yield* Effect.andThen(Effect.sleep(100), client.refresh)
        }
        // It dies only now; the other one goes on.
        if (said === "dead") break
        if (said !== "done" || !client.isValid()) return ["lost", said] as const
      }
      if (said !== "dead") break
    }
    return ["recovered", said] as const satisfies readonly [Verdict, string]
  })
