import { Health } from "@tributary/telemetry"
import { Effect, Layer, Ref } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"

const noStore = { headers: { "cache-control": "no-store" } }

const answer = (body: unknown, isWell: boolean) =>
  HttpServerResponse.jsonUnsafe(body, { ...noStore, status: isWell ? 200 : 503 })

/**
 * `/livez`: 200 unless the process was declared dead, then 503; that it answers at all shows that its event loop turns.
 * `/readyz`: 200 when all checks are well, else 503, with what each of them found.
 */
export const healthRoutes = Layer.unwrap(
  Effect.map(Health, (health) =>
    HttpRouter.addAll([
      HttpRouter.route(
        "GET",
        "/livez",
        Effect.map(health.failure, (reason) =>
          reason === undefined ? answer({ status: "ok" }, true) : answer({ status: "failing", detail: reason }, false)
        )
      ),
      HttpRouter.route(
        "GET",
        "/readyz",
        Effect.map(health.snapshot, (report) => answer(report, report.status === "ok"))
      )
    ])
  )
)

/** `/v1/owned`: the connectors whose sources run in this process, by identifier. */
export const ownedRoute = (worker: string) =>
  Layer.unwrap(
    Effect.map(Health, ({ owned }) =>
      HttpRouter.add(
        "GET",
        "/v1/owned",
        Effect.map(Ref.get(owned), (connectors) =>
          HttpServerResponse.jsonUnsafe({ worker, connectors: connectors.toSorted() }, noStore)
        )
      )
    )
  )
