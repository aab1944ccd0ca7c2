import { Effect } from "effect"
import type { Component } from "../component/Component.ts"
import { decoderOf } from "../component/Decoder.ts"
import { extractorOf } from "../component/Extractor.ts"
import { writeJson } from "../component/jsonText.ts"
import { Response } from "../component/Response.ts"
import { failure, type RunError } from "../component/RunError.ts"
import type { FileReference } from "../component/Selector.ts"
import { Slice } from "../component/Slice.ts"
import type { PlainDict } from "../expression/Value.ts"
import { isRefusal } from "./Parts.ts"
import { pure } from "./pure.ts"
import { makeRequester } from "./Requester.ts"
import type { Run } from "./Run.ts"

/** Downloads the file of a record. */
export type Upload = (record: PlainDict) => Effect.Effect<FileReference, RunError>

/** A path below the folder of files, as Python's pathlib joins it; undefined where it leads out of it. */
const below = (stream: string, name: string): string | undefined => {
  const parts = `${stream}/${name.replace(/^\/+/, "")}`.split("/").filter((part) => part !== "" && part !== ".")
  // A name is what an API says: it must not say where else on this machine to write.
  return parts.includes("..") || parts.some((part) => part.includes("\0")) || stream.startsWith("/")
    ? undefined
    : parts.join("/")
}

/** The component `FileUploader` of a stream. Makes no request. */
export const makeFileUploader = Effect.fnUntraced(function* (
  run: Run,
  component: Component,
  stream: string
): Effect.fn.Return<Upload, RunError> {
  const { expressions, files } = run
  if (files === undefined) {
    return yield* pure(() =>
      component.fail(
        "",
        "files of records have no place in the engine. Leave the stream out, take file_uploader out of the manifest, or use `tributary connectors run`.",
        "unsupported"
      )
    )
  }
  const requester = yield* makeRequester(run, component.needed("requester"))
  const targets = yield* pure(() =>
    extractorOf(component.needed("download_target_extractor"), expressions, decoderOf(undefined, expressions))
  )
  const template = component.optionalText("filename_extractor") ?? ""
  return Effect.fn("airbyte.file")(function* (record) {
    const target = yield* pure(() => {
      const [first] = [...targets(new Response(200, [], Buffer.from(writeJson(record)), ""))]
      if (first === undefined) throw failure(`Stream ${stream}: a record has no download target.`)
      if (typeof first !== "string") throw failure(`Stream ${stream}: a download target is no text.`)
      return first
    })
    const answer = yield* requester.send(new Slice({}, {}, { download_target: target }), undefined)
    if (isRefusal(answer)) return yield* failure(`Stream ${stream}: a download got no usable answer.`)
    const path = yield* pure(() => {
      const name =
        template === ""
          ? expressions.environment.ports.uuid()
          : expressions.text(template, component.parameters, { record })
      return (
        below(stream, name) ??
        component.fail("filename_extractor", "it comes out as a path that leads out of the folder of files.")
      )
    })
    const { size, url } = yield* files.write(path, answer.body)
    return { staging_file_url: url, source_file_relative_path: path, file_size_bytes: size }
  })
})
