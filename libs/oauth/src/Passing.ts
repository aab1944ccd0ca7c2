import { Effect } from "effect"

/**
 * Something that is made when it is needed and let go when nobody needs it any more: a process may hold very many authorizations,
 * each of which asks for a token once an hour and has no use for the means to do so in between.
 */
export interface Passing<A, E> {
  readonly use: <B, E2, R>(work: (made: A) => Effect.Effect<B, E2, R>) => Effect.Effect<B, E | E2, R>
  /** What is there now. */
  readonly current: () => A | undefined
}

/** `mayGo`: whether it knows nothing that the next one would have to know. */
export const makePassing = <A, E>(make: Effect.Effect<A, E>, mayGo: (made: A) => boolean): Passing<A, E> => {
  let current: A | undefined
  let users = 0
  const take = Effect.suspend(() => {
    users++
    return current === undefined
      ? // Two that came at the same time share one.
        Effect.map(make, (made) => (current ??= made))
      : Effect.succeed(current)
  })
  const giveBack = Effect.sync(() => {
    users--
    if (users === 0 && current !== undefined && mayGo(current)) current = undefined
  })
  return {
    use: (work) => Effect.ensuring(Effect.flatMap(take, work), giveBack),
    current: () => current
  }
}
