import { Effect } from "effect"
import type { Component } from "../component/Component.ts"
import { isAnswer } from "../component/ErrorHandler.ts"
import { type AskingContext, hookContext, hookFailure } from "../component/Hooks.ts"
import type { RunError } from "../component/RunError.ts"
import type { Run } from "./Run.ts"

/** What hooks that may ask the API are given: their requests go where the manifest's own go. */
export const askingContext = (run: Run, component: Component): AskingContext => ({
  ...hookContext(component, run.expressions),
  send: async ({ body, headers = {}, method = "GET", url }) => {
    const answer = await Effect.runPromise(run.http.send({ method, url, headers, body }, {}))
    if (isAnswer(answer)) return answer
    throw new Error(answer.problem)
  }
})

/** Waits for a hook; what it throws is said with the class that it stands for. */
export const awaited = <A>(component: Component, body: () => A | Promise<A>): Effect.Effect<A, RunError> =>
  Effect.tryPromise({
    try: async () => body(),
    catch: (error) => hookFailure(component, error)
  })
