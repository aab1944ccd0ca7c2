import type { Catalog } from "@tributary/catalog"
import { ControlApi, controlDocument } from "@tributary/domain/control"
import { Log } from "@tributary/log"
import { Health } from "@tributary/telemetry"
import { type Config, Effect, Layer, Redacted } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse, type HttpServer } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import {
  authorization,
  authorize,
  controlToken,
  type ControlToken,
  type NeedsToken,
  requests,
  requireToken
} from "./Access.ts"
import { clusterHandlers } from "./ClusterHandlers.ts"
import { connectorHandlers } from "./ConnectorHandlers.ts"
import { healthRoutes } from "./HealthRoutes.ts"
import { jsonErrors } from "./JsonErrors.ts"
import { baseUrl, type CannotListen, listen, type ListenAddress } from "./Listen.ts"
import { StatusView } from "./StatusView.ts"

/** Where the control API listens unless it is told otherwise. */
export const defaultControlAddress: ListenAddress = { host: "127.0.0.1", port: 7480 }

const document = (token: ControlToken) => {
  const body = HttpServerResponse.jsonUnsafe(controlDocument())
  return HttpRouter.add(
    "GET",
    "/openapi.json",
    Effect.gen(function* () {
      const { headers } = yield* HttpServerRequest.HttpServerRequest
      const given = /^bearer (.+)$/iu.exec(headers["authorization"] ?? "")?.[1] ?? ""
      return yield* authorize(token, Redacted.make(given)).pipe(
        Effect.as(body),
        Effect.catch(({ code, message }) =>
          Effect.succeed(
            HttpServerResponse.jsonUnsafe({ code, message }, { status: code === "unauthorized" ? 401 : 403 })
          )
        )
      )
    })
  )
}

const readiness = Layer.effectDiscard(
  Effect.gen(function* () {
    const health = yield* Health
    const log = yield* Log
    yield* health.register(
      "log",
      log.topics.pipe(
        Effect.as({ status: "ok" as const, detail: "answers" }),
        Effect.catch(({ message }) => Effect.succeed({ status: "failing" as const, detail: message }))
      )
    )
  })
)

/** The control API (libs/domain ControlApi) at the address, with `/livez`, `/readyz` and `/openapi.json`. */
export const controlServer = (
  at: ListenAddress
): Layer.Layer<HttpServer.HttpServer, CannotListen | NeedsToken | Config.ConfigError, Catalog | Health | Log> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const token = yield* controlToken
      yield* requireToken(at, token)
      const api = HttpApiBuilder.layer(ControlApi).pipe(
        Layer.provide(Layer.mergeAll(connectorHandlers, clusterHandlers)),
        Layer.provide(Layer.mergeAll(authorization(token), requests, StatusView.layer))
      )
      const announced = Layer.effectDiscard(
        Effect.flatMap(baseUrl, (url) => Effect.logInfo(`The control API is served at ${url}/v1.`))
      )
      return HttpRouter.serve(Layer.mergeAll(api, document(token), healthRoutes, jsonErrors), {
        disableListenLog: true,
        disableLogger: true
      }).pipe(Layer.merge(announced), Layer.merge(readiness), Layer.provideMerge(listen(at)))
    })
  )

/**
 * Serves the control API until it is interrupted. Requests must carry the token of `TRIBUTARY_CONTROL_TOKEN` if that is set, but
 * for `/livez` and `/readyz`; without it the address has to be a loopback one.
 */
export const runControl = (
  at: ListenAddress = defaultControlAddress
): Effect.Effect<never, CannotListen | NeedsToken | Config.ConfigError, Catalog | Health | Log> =>
  Layer.launch(controlServer(at))
