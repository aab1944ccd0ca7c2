import { Effect } from "effect"
import type { Component } from "../component/Component.ts"
import { usesAction } from "../component/ErrorHandler.ts"
import { RunError } from "../component/RunError.ts"
import { log, type Message } from "./Message.ts"
import type { Refusal } from "./Parts.ts"
import { pure } from "./pure.ts"

/** A setting that says how less is asked for, and the action of an error handler that wants it. */
export interface RemedyKind {
  readonly setting: "page_size_reduction" | "request_window_splitting"
  readonly action: Exclude<Refusal["refused"], "RESET_PAGINATION">
}

/** What of a stream bears upon whether less can be asked for. */
export interface RemedyOptions {
  readonly name: string
  readonly emit: (message: Message) => Effect.Effect<void, RunError>
  readonly hasProperties: boolean
  readonly hasFiles: boolean
  readonly isLazy: boolean
}

/** How a retriever goes on when the API says that a request asks for too much. */
export interface Remedy {
  readonly component: Component
  /** The warning that no error handler asks for it; undefined where one does. */
  readonly unused: Message | undefined
  /** The failure where less cannot be asked for. `message` is why the API refused. */
  readonly refused: (problem: string, message: string | undefined) => RunError
}

/** The remedy of a retriever; undefined where nothing asks for one. Fails where it is missing, or cannot work with what the stream is. */
export const makeRemedy = Effect.fnUntraced(function* (
  retriever: Component,
  { action, setting }: RemedyKind,
  { hasFiles, hasProperties, isLazy, name }: RemedyOptions
): Effect.fn.Return<Remedy | undefined, RunError> {
  const component = retriever.child(setting)
  const isUsed = usesAction(retriever.child("requester")?.child("error_handler"), action)
  if (component === undefined) {
    if (!isUsed) return undefined
    return yield* pure(() => retriever.fail(setting, `it is missing: a response filter has the action ${action}.`))
  }
  yield* pure(() => {
    if (isLazy) component.fail("", "it cannot be used with a parent's lazy_read_pointer.")
    if (hasProperties) component.fail("", "it cannot be used with query properties.")
    if (hasFiles) component.fail("", "it cannot be used with a file_uploader.")
  })
  const advice = component.optionalText("failure_message")?.trim() ?? ""
  return {
    component,
    unused: isUsed
      ? undefined
      : log("WARN", `Stream ${name} has a ${setting}, and no response filter with the action ${action}.`),
    refused: (problem, message) =>
      new RunError({
        problem: [problem, advice, message === undefined ? "" : `The API says: ${message}`]
          .filter((text) => text !== "")
          .join(" "),
        failureType: "transient_error"
      })
  }
})
