import type { Health } from "@tributary/telemetry"
import { Effect, Layer } from "effect"
import { HttpRouter, type HttpServer } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import { healthRoutes, ownedRoute } from "./HealthRoutes.ts"
import { baseUrl, type CannotListen, listen, type ListenAddress } from "./Listen.ts"

export interface HealthServerOptions extends ListenAddress {
  /** Name of this process among the workers. */
  readonly worker: string
}

const announced = Layer.effectDiscard(
  Effect.flatMap(baseUrl, (url) =>
    Effect.logInfo(`Health is served at ${url}/livez, ${url}/readyz and ${url}/v1/owned, metrics at ${url}/metrics.`)
  )
)

/**
 * Serves `/livez`, `/readyz`, `/v1/owned` and `/metrics` (Prometheus) of this process over HTTP, without authentication: they say how the process is, and
 * nothing of its configuration but the identifiers of connectors and authorizations.
 */
export const healthServer = ({
  host,
  port,
  worker
}: HealthServerOptions): Layer.Layer<HttpServer.HttpServer, CannotListen, Health> =>
  HttpRouter.serve(
    Layer.mergeAll(healthRoutes, ownedRoute(worker), PrometheusMetrics.layerHttp({ path: "/metrics" })),
    {
      disableListenLog: true,
      disableLogger: true
    }
  ).pipe(Layer.merge(announced), Layer.provideMerge(listen({ host, port })))
