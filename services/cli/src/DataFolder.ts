import { makeDirectory } from "@tributary/log"
import { Effect, Path, Schema } from "effect"

/** The data folder cannot be made or written. */
export class DataFolder extends Schema.TaggedError<DataFolder>()("DataFolder", {
  path: Schema.String,
  problem: Schema.String
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `The data folder ${this.path} cannot be made (${this.problem}). Name another with --data.`
  }
}

/** The data folder as an absolute path, made if need be. */
export const dataFolder = Effect.fnUntraced(function* (data: string) {
  const path = yield* Path.Path
  const folder = path.resolve(data)
  yield* Effect.try({
    try: () => makeDirectory(folder, 0o700),
    catch: (error) => new DataFolder({ path: folder, problem: error instanceof Error ? error.message : String(error) })
  })
  return folder
})
