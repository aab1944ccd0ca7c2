import { makeDirectory } from "@tributary/log"
import { Effect, Schema } from "effect"
import { closeSync, existsSync, openSync, rmSync, statfsSync, writeFileSync } from "node:fs"
import { cpus, totalmem } from "node:os"
import { join } from "node:path"
import { availableMemory, constrainedMemory, version } from "node:process"
import type { LoadResult } from "./LoadResult.ts"

const mebibyte = 1024 * 1024
const shown = (bytes: number): string => `${Math.floor(bytes / mebibyte)} MiB`

/** There is not enough memory for the test, or no more space on the disk. */
export class MachineTooSmall extends Schema.TaggedError<MachineTooSmall>()("MachineTooSmall", {
  problem: Schema.String
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return this.problem
  }
}

/** The report cannot be written. */
export class ReportFailed extends Schema.TaggedError<ReportFailed>()("ReportFailed", {
  directory: Schema.String,
  problem: Schema.String
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `The report cannot be written to ${this.directory}: ${this.problem}. Name another folder with --report.`
  }
}

/** The machine that the test runs on. */
export const machine = (): LoadResult["machine"] => {
  const limit = constrainedMemory()
  return {
    cores: cpus().length,
    memory: limit > 0 && limit < totalmem() ? limit : totalmem(),
    node: version
  }
}

/** Memory that each process of the chain needs at least. */
const needs = { worker: 160, clickhouse: 500, test: 200 } as const

/** Fails when there is not enough memory for so many processes and `records` to be compared. */
export const checkMemory = (workers: number, clickhouse: boolean, records: number) =>
  Effect.suspend(() => {
    const needed = (needs.test + workers * needs.worker + (clickhouse ? needs.clickhouse : 0)) * mebibyte + records * 20
    const free = availableMemory()
    return free >= needed
      ? Effect.void
      : Effect.fail(
          new MachineTooSmall({
            problem: `There are ${shown(free)} of memory left, and the test needs about ${shown(needed)}. Free some, or ask for fewer --workers or --records.`
          })
        )
  })

/** With less than this a database cannot go on. */
const leastSpace = 96 * mebibyte

/** Fails when a disk has hardly any space left. */
export const checkSpace = (folder: string) =>
  Effect.suspend(() => {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize >= leastSpace
      ? Effect.void
      : Effect.fail(
          new MachineTooSmall({
            problem: `The disk of ${folder} is full: ${shown(bavail * bsize)} are left. Free some space, ask for fewer --records, or set TMPDIR to a folder on a larger disk.`
          })
        )
  })

const why = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** The files of a report. */
const reportFiles = ["load.html", "load.json"] as const

/** Makes the folder of the report and sees that it can be written. */
export const prepareReport = (directory: string) =>
  Effect.try({
    try: () => {
      makeDirectory(directory)
      // Rights do not tell: root has all of them, in /proc too.
      for (const name of reportFiles) {
        const file = join(directory, name)
        const isNew = !existsSync(file)
        closeSync(openSync(file, "a"))
        if (isNew) rmSync(file)
      }
    },
    catch: (error) => new ReportFailed({ directory, problem: why(error) })
  })

/** Writes files into a folder. */
export const writeReport = (directory: string, files: Readonly<Record<(typeof reportFiles)[number], string>>) =>
  Effect.try({
    try: () => {
      for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
    },
    catch: (error) => new ReportFailed({ directory, problem: why(error) })
  })
