import { nearest, streamOf, type Webhook, webhookPath } from "@tributary/domain"
import { Effect, Schema } from "effect"
import { loadConnectors } from "./ConnectorFiles.ts"
import { noteProblems } from "./FileProblems.ts"
import { Screen } from "./Screen.ts"

/** There is no such connector or stream, or it is not clear which one is meant. */
export class NotChosen extends Schema.TaggedError<NotChosen>()("NotChosen", { problem: Schema.String }) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return this.problem
  }
}

/** Which connector and which of its streams a command looks at. */
export interface Choice {
  /** Folder with connector files, or one file. */
  readonly connectors: string
  /** Identifier, or a connector file in place of `connectors`; may be left out when there is one connector only. */
  readonly connector: string | undefined
  readonly stream: string | undefined
}

const isFile = (text: string | undefined): text is string =>
  text !== undefined && (/\.ya?ml$/u.test(text) || text.includes("/"))

/** Fails with what there is, unless the connector has the stream. */
export const knownStream = (
  connector: string,
  stream: string,
  streams: ReadonlyArray<string>
): Effect.Effect<void, NotChosen> => {
  if (streams.includes(stream)) return Effect.void
  const meant = nearest(stream, streams)
  const advice = meant === undefined ? "" : ` Did you mean ${meant}?`
  const problem = `Connector ${connector} has no stream ${stream}; it has ${streams.join(", ")}.${advice}`
  return Effect.fail(new NotChosen({ problem }))
}

/** A stream that the API sends: there is nothing to ask for. */
export interface SentStream {
  readonly stream: string
  readonly webhook: Webhook
  /** Where deliveries are taken. */
  readonly path: string
}

/** Says of streams that are sent that there is nothing to look at. */
export const noteSent = Effect.fnUntraced(function* (sent: ReadonlyArray<SentStream>, json: boolean) {
  const screen = yield* Screen
  for (const { path, stream } of sent) {
    yield* screen.print(
      json
        ? JSON.stringify({ stream, webhook: path })
        : `${stream}: deliveries are sent to ${path} (webhook), so there is nothing to ask for`
    )
  }
})

/**
 * The connector that is meant, and its streams: those that are asked for, and those that are sent. What is wrong with the files is shown
 * to the person.
 */
export const choose = Effect.fnUntraced(function* (choice: Choice) {
  const options = isFile(choice.connector) ? { ...choice, connectors: choice.connector, connector: undefined } : choice
  const loaded = yield* loadConnectors(options.connectors)
  yield* noteProblems(loaded)
  const ids = loaded.connectors.map(({ connector }) => connector.connector)
  const chosen =
    options.connector === undefined
      ? loaded.connectors.length === 1
        ? loaded.connectors[0]
        : undefined
      : loaded.connectors.find(({ connector }) => connector.connector === options.connector)
  if (chosen === undefined) {
    const wanted = options.connector === undefined ? "Which connector?" : `There is no connector ${options.connector}.`
    const meant = options.connector === undefined ? undefined : nearest(options.connector, ids)
    return yield* new NotChosen({
      problem:
        `${wanted} ${options.connectors} has ${ids.length === 0 ? "none that is valid" : ids.join(", ")}.` +
        (meant === undefined ? "" : ` Did you mean ${meant}?`)
    })
  }
  const streams = Object.keys(chosen.connector.streams)
  if (options.stream !== undefined) yield* knownStream(chosen.connector.connector, options.stream, streams)
  const meant = options.stream === undefined ? streams : [options.stream]
  const sent = meant.flatMap((stream): ReadonlyArray<SentStream> => {
    const { webhook } = streamOf(chosen.connector, stream)
    return webhook === undefined
      ? []
      : [{ stream, webhook, path: webhookPath(chosen.connector.connector, stream, webhook) }]
  })
  return { chosen, streams: meant.filter((stream) => sent.every((one) => one.stream !== stream)), sent }
})
