import { Catalog } from "@tributary/catalog"
import { ControlApi } from "@tributary/domain/control"
import { Log } from "@tributary/log"
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { answered } from "./Answered.ts"
import { groupOwners, ownersOf } from "./Owned.ts"
import { StatusView } from "./StatusView.ts"

const read = answered("Try again.")

export const clusterHandlers = HttpApiBuilder.group(
  ControlApi,
  "cluster",
  Effect.fnUntraced(function* (handlers) {
    const catalog = yield* Catalog
    const log = yield* Log
    const view = yield* StatusView
    const owners = Effect.provideService(ownersOf, Log, log)
    return handlers.handleAll({
      status: Effect.fn("control.status")(function* () {
        return yield* read(view.current)
      }),
      owners: Effect.fn("control.owners")(function* () {
        const [registrations, owned] = yield* read(Effect.all([catalog.list, owners], { concurrency: 2 }))
        return groupOwners(owned, registrations.keys())
      })
    })
  })
)
