import { Deferred, Effect, type Scope } from "effect"

/**
 * One question at a time for each name: who asks while it is under way gets the same answer. Interrupting one of them leaves the
 * question alone; it ends with the scope.
 */
export const makeFlights = <A, E>(scope: Scope.Scope) => {
  const underWay = new Map<string, Deferred.Deferred<A, E>>()
  return (name: string, question: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const others = underWay.get(name)
        if (others !== undefined) return restore(Deferred.await(others))
        const mine = Deferred.makeUnsafe<A, E>()
        underWay.set(name, mine)
        return Effect.flatMap(Effect.forkIn(Effect.interruptible(question), scope), (fiber) => {
          fiber.addObserver((exit) => {
            underWay.delete(name)
            Deferred.doneUnsafe(mine, exit)
          })
          return restore(Deferred.await(mine))
        })
      })
    )
}
