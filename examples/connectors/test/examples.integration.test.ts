import { assert, describe, it } from "@effect/vitest"
import { type Connector, streamOf } from "@tributary/domain"
import { Effect } from "effect"
import type { FaultKind } from "../api/Faults.ts"
import type { Brings, Row, StandIn } from "../api/StandIn.ts"
import { standIns } from "../api/standIns.ts"
import { recordsOf } from "../api/serve.ts"
import { fileOf, trustedCertificate, validated, type World, worldOf } from "./harness.ts"

const certificate = trustedCertificate([...new Set(standIns.flatMap(({ hosts }) => hosts))])

/** Values with how often each is there, as texts. */
const counted = (values: ReadonlyArray<unknown>): ReadonlyMap<string, number> => {
  const found = new Map<string, number>()
  for (const value of values) {
    const text = JSON.stringify(value)
    found.set(text, (found.get(text) ?? 0) + 1)
  }
  return found
}

/** What is missing, invented or doubled, in words; `most` is how often a record may be there. */
const differences = (published: ReadonlyArray<unknown>, expected: ReadonlyArray<unknown>, most: number) => {
  const [found, wanted] = [counted(published), counted(expected)]
  const wrong: Array<string> = []
  for (const text of wanted.keys()) if (!found.has(text)) wrong.push(`missing: ${text}`)
  for (const [text, count] of found) {
    if (!wanted.has(text)) wrong.push(`invented: ${text}`)
    else if (count > most) wrong.push(`${count} times: ${text}`)
  }
  return wrong.slice(0, 5)
}

/** Longer than the time between two polls of any of them. */
const pause = 7 * 3_600_000

/** What happened to the rows of a stream since `before`, their versions by number. */
const wanted = (rows: ReadonlyArray<Row>, before: ReadonlyMap<number, number>, brings: Brings): ReadonlyArray<Row> => {
  if (brings === "everything") return rows
  return rows.filter(({ id, version }) => (brings === "changes" ? before.get(id) !== version : !before.has(id)))
}

/** Reads with faults, stopped in the middle; changes rows and reads again, twice. Compares every record. */
const prove = Effect.fnUntraced(function* (standIn: StandIn, world: World) {
  const { connector } = fileOf(standIn.file)
  const streams = Object.entries(standIn.streams).map(([name, stream]) =>
    Object.assign({}, stream, {
      name,
      table: world.api.table(name),
      restarts: restartsOf(connector, name)
    })
  )
  yield* world.read(3)
  assert.deepStrictEqual(yield* world.read(), [], "the first read")
  for (const { brings, name, restarts, table } of streams) {
    const expected = recordsOf(standIn, name, table.rows)
    // A stream that is read whole may be read by each of the two parts of the first read.
    const most = (brings === "everything" ? 2 : 1) + restarts
    assert.deepStrictEqual(differences(yield* world.published(name), expected, most), [], name)
  }

  for (const turn of ["second", "third"] as const) {
    const before = new Map(
      streams.map(({ name, table }) => [name, new Map(table.rows.map((row) => [row.id, row.version]))])
    )
    world.time.jump(pause)
    const now = world.time.now()
    for (const { brings, late, table } of streams) {
      // Rows that others belong to stay as they are.
      if (brings === "everything") continue
      table.show()
      if (turn === "second") table.edit(now, [3, 11, 97], 4)
      else table.edit(now, [11], 0)
      if (late !== undefined && turn === "second") table.addLate(now - late)
    }
    world.time.jump(pause)
    assert.deepStrictEqual(yield* world.read(), [], `the ${turn} read`)
    for (const { brings, name, restarts, second = brings, table } of streams) {
      const rows = wanted(table.rows, before.get(name) ?? new Map(), turn === "second" ? second : brings)
      const found = differences(yield* world.published(name), recordsOf(standIn, name, rows), 1 + restarts)
      assert.deepStrictEqual(found, [], `${name}, the ${turn} read`)
    }
  }
  assert.deepStrictEqual(world.api.wrong, [])
})

/** A walk that begins again in its middle brings again what it has brought. */
const restartsOf = (connector: Connector, stream: string): number =>
  streamOf(connector, stream).errors.some(({ action }) => action === "restart") ? 3 : 0

describe("the examples", () => {
  const met = new Set<FaultKind>()

  it("are at least 25, each under 30 lines, and each has a stand-in", () => {
    assert.isAtLeast(standIns.length, 25)
    for (const { file, streams } of standIns) {
      const { connector, lines } = fileOf(file)
      assert.isBelow(lines, 30, file)
      assert.deepStrictEqual(Object.keys(connector.streams), Object.keys(streams), file)
    }
  })

  it("are valid once their variables are set", () => {
    const first = standIns.map(({ access }) => ("oauth" in access ? access.oauth.refreshToken : undefined))
    const tokens = Object.fromEntries(first.flatMap((name) => (name === undefined ? [] : [[name, "token"]])))
    const env = Object.assign({}, ...standIns.map((standIn) => standIn.env), tokens)
    const { problems, transforms, valid, warnings } = validated(env)
    // Profiles say what of them was not found in public documentation.
    const others = warnings.filter(({ path }) => path !== "auth.provider")
    assert.deepStrictEqual([problems, transforms, others], [[], [], []])
    assert.lengthOf(valid, standIns.length)
  })

  it.live("take an account without anything in it for what it is", () =>
    Effect.gen(function* () {
      for (const standIn of standIns) {
        const streams = Object.entries(standIn.streams).map(([name, stream]) => {
          const table = Object.assign({}, stream.table, { rows: 0 })
          return [name, Object.assign({}, stream, { table })] as const
        })
        const empty = Object.assign({}, standIn, { streams: Object.fromEntries(streams) })
        const world = yield* worldOf(empty, fileOf(standIn.file).connector, certificate, "no faults")
        assert.deepStrictEqual([yield* world.read(), world.api.wrong], [[], []], standIn.file)
      }
    }).pipe(Effect.scoped)
  )

  for (const [seed, standIn] of standIns.entries()) {
    it.live(`${standIn.file}: every record once, in spite of faults, and then what changed`, () =>
      Effect.gen(function* () {
        const { connector } = fileOf(standIn.file)
        const world = yield* worldOf(standIn, connector, certificate, seed)
        yield* prove(standIn, world)
        const { counts } = world.api.faults
        for (const kind of counts.keys()) met.add(kind)
        assert.isAtLeast(counts.size, 3)
      }).pipe(Effect.scoped)
    )
  }

  it("met every kind of fault", () => {
    assert.sameMembers([...met], ["broken", "throttled", "dropped", "cut", "slow", "withdrawn"])
  })
})
