import { Effect } from "effect"
import { assign } from "./Assignment.ts"
import { infoOf, type Partition } from "./Catalog.ts"
import type { Claim } from "./Log.ts"
import type { LogError } from "./LogError.ts"
import { checkCommit, checkOwner, type Ownership, owned, readCommitted, writeCommit } from "./Ownership.ts"
import { readFrom, type Source } from "./Reading.ts"
import { closedError, integer, toLogError } from "./SqliteFile.ts"
import type { Storage } from "./Storage.ts"

/** Work on one partition. */
export interface Work {
  /** Asks it to end; does not wait. */
  readonly interrupt: () => void
  readonly await: Effect.Effect<unknown>
}

/** One call of `consume`. */
export interface Member {
  readonly topics: ReadonlySet<string>
  /** It has failed and gets no more work; `leave` follows. */
  leaving: boolean
  /** Starts the work on a partition. It calls `ended` once when it has, which says whether it was asked to end. */
  readonly start: (claim: Claim, ended: () => boolean) => Work
  /** Makes `consume` fail. Only the first call counts. */
  readonly fail: (error: LogError) => void
}

interface Running {
  readonly member: Member
  readonly work: Work
  revoked: boolean
}

interface Group {
  readonly name: string
  generation: number
  readonly members: Array<Member>
  /** Who should own each partition. */
  targets: Map<Partition, Member>
  /** Who does. A partition of which these differ is being revoked, and is handed over when its work has ended. */
  readonly running: Map<Partition, Running>
}

/**
 * Spreads the partitions of a group over its members in this process. Membership, targets and running work change only in
 * synchronous code, so there is nothing to lock; what has to wait (the end of revoked work) comes back through the fiber's
 * observer. Generations are stored: a claim of an earlier process has a lower one, for ever.
 */
export class GroupCoordinator {
  readonly #storage: Storage
  readonly #source: Source
  readonly #groups = new Map<string, Group>()
  #closed = false

  /** Throws what SQLite throws. */
  constructor(storage: Storage, source: Source) {
    this.#storage = storage
    this.#source = source
    // The directory is locked, so whoever had claims is gone.
    storage.file.transaction(0, () => storage.file.run("DELETE FROM claims"))
  }

  /** Throws `LogError` and what SQLite throws. */
  #group(name: string): Group {
    let group = this.#groups.get(name)
    if (group === undefined) {
      const row = this.#storage.file.get("SELECT generation FROM groups WHERE name = ?", name)
      const generation = row === undefined ? 0 : integer(row, "generation")
      group = { name, generation, members: [], targets: new Map(), running: new Map() }
      this.#groups.set(name, group)
    }
    return group
  }

  join(name: string, member: Member): Effect.Effect<void, LogError> {
    return this.#storage.file.attempt(() => {
      if (this.#closed) throw closedError(this.#storage.file.path)
      const group = this.#group(name)
      group.members.push(member)
      this.#rebalance(group)
    })
  }

  /** Ends when the member's work has ended everywhere. */
  leave(name: string, member: Member): Effect.Effect<void> {
    return Effect.suspend(() => {
      const group = this.#groups.get(name)
      const at = group?.members.indexOf(member) ?? -1
      if (group === undefined || at < 0) return Effect.void
      group.members.splice(at, 1)
      const works = [...group.running.values()].filter((run) => run.member === member).map((run) => run.work)
      this.#rebalance(group)
      return Effect.forEach(works, (work) => work.await, { discard: true })
    })
  }

  /** A topic has new partitions, or was deleted. */
  topicChanged(topic: string): void {
    for (const group of this.#groups.values())
      if (group.members.some((member) => member.topics.has(topic))) this.#rebalance(group)
  }

  /** Ends all work; afterwards nobody can join. */
  close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#closed = true
      const works: Array<Work> = []
      for (const group of this.#groups.values()) {
        for (const member of group.members) member.fail(closedError(this.#storage.file.path))
        for (const run of group.running.values()) {
          works.push(run.work)
          this.#revoke(run)
        }
      }
      return Effect.forEach(works, (work) => work.await, { discard: true })
    })
  }

  #revoke(run: Running): void {
    run.revoked = true
    run.work.interrupt()
  }

  #rebalance(group: Group): void {
    group.generation++
    const partitions = this.#storage.all().flatMap((topic) => topic.partitions)
    const members = group.members.filter((member) => !member.leaving)
    group.targets = assign(partitions, members, group.targets)
    this.#settle(group)
  }

  /** Brings what runs closer to the targets: revokes, and starts what is free. */
  #settle(group: Group): void {
    if (this.#closed) return
    for (const [partition, run] of group.running) if (group.targets.get(partition) !== run.member) this.#revoke(run)
    const free = [...group.targets].filter(([partition, member]) => !group.running.has(partition) && !member.leaving)
    if (free.length > 0) this.#start(group, free)
    if (group.members.length === 0 && group.running.size === 0) this.#groups.delete(group.name)
  }

  #start(group: Group, free: ReadonlyArray<readonly [Partition, Member]>): void {
    const { generation, name } = group
    const { file } = this.#storage
    try {
      file.transaction(0, () => {
        file.run(
          `INSERT INTO groups (name, generation) VALUES (?, ?)
           ON CONFLICT (name) DO UPDATE SET generation = excluded.generation`,
          name,
          generation
        )
        for (const [partition] of free) {
          file.run(
            `INSERT INTO claims (group_name, partition, generation) VALUES (?, ?, ?)
             ON CONFLICT (group_name, partition) DO UPDATE SET generation = excluded.generation`,
            name,
            partition.id,
            generation
          )
        }
      })
    } catch (cause) {
      const error = toLogError(file.path)(cause)
      for (const [, member] of free) {
        member.leaving = true
        member.fail(error)
      }
      return
    }
    for (const [partition, member] of free) {
      const held: Ownership = { group: name, partition, generation, ended: false }
      const work = member.start(this.#claim(held), () => {
        held.ended = true
        return this.#ended(group, partition)
      })
      group.running.set(partition, { member, work, revoked: false })
    }
  }

  /** Work has ended; true when it was asked to. If not, its member leaves, and that gives all its partitions away. */
  #ended(group: Group, partition: Partition): boolean {
    const run = group.running.get(partition)
    if (run === undefined) return true
    group.running.delete(partition)
    if (run.revoked) this.#settle(group)
    else run.member.leaving = true
    return run.revoked
  }

  #claim(held: Ownership): Claim {
    const { file } = this.#storage
    const { partition } = held
    const find = (): Partition => {
      checkOwner(file, held)
      return partition
    }
    const commit = Effect.fn("Claim.commit")(function* (offset: number, metadata: string) {
      return yield* file.attempt(() => {
        checkCommit(offset, metadata)
        file.transaction(metadata.length, () => {
          checkOwner(file, held)
          writeCommit(file, held, offset, metadata)
        })
      })
    })
    return owned(
      {
        topic: infoOf(partition.topic),
        partition: partition.index,
        generation: held.generation,
        committed: file.attempt(() => {
          checkOwner(file, held)
          return readCommitted(file, held)
        }),
        read: Effect.fn("Claim.read")((from, limits) => readFrom(this.#source, find, from, limits)),
        commit
      },
      held
    )
  }
}
