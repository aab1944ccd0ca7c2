/** A partition of a topic that members may subscribe to. */
export interface Assignable {
  readonly topic: { readonly name: string }
}
export interface Subscriber {
  readonly topics: ReadonlySet<string>
}

/**
 * Says which member gets which partition: as evenly as the subscriptions allow, and every partition stays where it is unless
 * evenness needs it elsewhere. A partition that nobody subscribes to is in nobody's.
 */
export const assign = <P extends Assignable, M extends Subscriber>(
  partitions: ReadonlyArray<P>,
  members: ReadonlyArray<M>,
  current: ReadonlyMap<P, M>
): Map<P, M> => {
  const owners = new Map<P, M>()
  const load = new Map<M, number>()
  for (const member of members) load.set(member, 0)
  const give = (partition: P, member: M): void => {
    const before = owners.get(partition)
    if (before !== undefined) load.set(before, load.get(before)! - 1)
    owners.set(partition, member)
    load.set(member, load.get(member)! + 1)
  }
  const least = (partition: P): M | undefined => {
    let best: M | undefined
    for (const member of members) {
      if (!member.topics.has(partition.topic.name)) continue
      if (best === undefined || load.get(member)! < load.get(best)!) best = member
    }
    return best
  }
  const homeless: Array<P> = []
  for (const partition of partitions) {
    const member = current.get(partition)
    if (member !== undefined && load.has(member) && member.topics.has(partition.topic.name)) give(partition, member)
    else homeless.push(partition)
  }
  for (const partition of homeless) {
    const member = least(partition)
    if (member !== undefined) give(partition, member)
  }
  // Each move makes the loads more alike (their squares' sum falls), so this ends.
  for (let moved = true; moved;) {
    moved = false
    for (const [partition, owner] of owners) {
      const member = least(partition)
      if (member !== undefined && load.get(owner)! - load.get(member)! >= 2) {
        give(partition, member)
        moved = true
      }
    }
  }
  return owners
}
