import type { Connector, SourceStream } from "@tributary/domain"
import type { Secrets } from "@tributary/secrets"
import { Effect } from "effect"
import { errorRules } from "./ErrorRules.ts"
import { extractorOf } from "./Extractors.ts"
import { markCursor } from "./MarkCursor.ts"
import { paginatorOf } from "./Paginators.ts"
import { resolver } from "./Resolve.ts"
import { rememberedCursor } from "./RememberedCursor.ts"
import { listRouter, parentRouter, type ReadStream } from "./Routers.ts"
import { shaping } from "./Shaping.ts"
import type { StreamDefinition, StreamSlots } from "./slots/index.ts"
import { BadSetting, type SourceReason } from "./SourceError.ts"
import { yamlJob } from "./YamlJob.ts"
import { yamlRequester } from "./YamlRequester.ts"

/** The streams of a connector file, one built-in per setting and slot. References are resolved anew for each walk. */
export const yamlStreams = (
  connector: Connector,
  base: string,
  secrets: Secrets["Service"],
  read: ReadStream
): Readonly<Record<string, StreamDefinition>> => {
  const resolve = resolver(secrets, base)
  const open = Effect.fnUntraced(function* (
    name: string,
    stream: SourceStream
  ): Effect.fn.Return<StreamSlots, SourceReason> {
    const setting = `streams.${name}`
    const requester = yield* yamlRequester(connector, setting, stream, resolve)
    const { incremental } = stream
    const start = incremental !== undefined && "field" in incremental ? incremental.start : undefined
    const from = start === undefined ? undefined : yield* resolve.text(start, `${setting}.incremental.start`)
    const transformation = shaping(stream, setting)
    if (transformation instanceof BadSetting) return yield* transformation
    const { partitions } = stream
    return {
      requester,
      job:
        stream.job === undefined
          ? undefined
          : yield* yamlJob(connector, `${setting}.job`, stream.job, stream.path !== undefined, resolve),
      router:
        partitions === undefined
          ? undefined
          : "parent" in partitions
            ? parentRouter(partitions, `${setting}.partitions`, read)
            : listRouter(partitions.list),
      extractor: extractorOf(stream, connector.http.max_page_bytes),
      transformation,
      errorHandler: errorRules(stream.errors),
      paginator: paginatorOf(stream.pagination),
      cursor:
        incremental === undefined
          ? undefined
          : "field" in incremental
            ? markCursor(incremental, `${setting}.incremental`, from?.value)
            : rememberedCursor(incremental, `${setting}.incremental`)
    }
  })

  return Object.fromEntries(
    Object.entries(connector.streams).map(([name, stream]) => [name, { open: open(name, stream) }])
  )
}
