import { Effect } from "effect"
import type { Component } from "../component/Component.ts"
import type { Extractor } from "../component/Extractor.ts"
import type { Response } from "../component/Response.ts"
import { failure, type RunError } from "../component/RunError.ts"
import { Slice } from "../component/Slice.ts"
import { type ListsOfAnswer, NeededList, type TruncatedLists } from "../component/TruncatedLists.ts"
import type { PlainDict, Value } from "../expression/Value.ts"
import { log } from "./Message.ts"
import type { Retriever } from "./Parts.ts"
import { pure } from "./pure.ts"
import type { Run } from "./Run.ts"

/** The expanders of an extractor that may have to ask for a list, or to warn of one. */
const expandersIn = (extractor: Component): ReadonlyArray<Component> => [
  ...extractor.children("record_expander").filter((expander) => expander.has("truncation_indicator_path")),
  ...extractor.children("extractors").flatMap(expandersIn)
]

/** Extracts the values of an answer, and asks for lists of which it has only the beginning. */
export type Extraction = (response: Response) => Effect.Effect<ReadonlyArray<Value>, RunError>

/** The extraction with lists asked for as a whole; undefined where there are none to ask for. Makes no request. */
export const makeExtraction = Effect.fnUntraced(function* (
  run: Run,
  selector: Component,
  extractor: Extractor,
  lists: TruncatedLists,
  makeRetriever: (component: Component) => Effect.Effect<Retriever, RunError>
): Effect.fn.Return<Extraction | undefined, RunError> {
  const expanders = expandersIn(selector.needed("extractor"))
  if (expanders.length === 0) return undefined
  const retrievers = new Map<string, Retriever>()
  for (const expander of expanders) {
    const component = expander.child("truncated_list_retriever")
    if (component !== undefined) retrievers.set(expander.path, yield* makeRetriever(component))
  }
  return Effect.fnUntraced(function* (response) {
    const answer: ListsOfAnswer = { known: new Map() }
    for (;;) {
      const extracted = yield* pure(() => {
        try {
          return lists.during(answer, () => [...extractor(response)])
        } catch (error) {
          if (error instanceof NeededList) return error
          throw error
        }
      })
      for (const message of lists.takeWarnings()) yield* run.emit(log("WARN", message))
      if (!(extracted instanceof NeededList)) return extracted
      const { parent, path } = extracted
      const retriever = retrievers.get(path)
      if (retriever === undefined) return yield* failure(`${path} has no truncated_list_retriever.`)
      const items: Array<PlainDict> = []
      yield* retriever.read(new Slice({ parent_record: parent }), (records) =>
        Effect.sync(() => {
          for (const { data } of records) items.push(data)
        })
      )
      answer.known.set(path, [...(answer.known.get(path) ?? []), items])
    }
  })
})
