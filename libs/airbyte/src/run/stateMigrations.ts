import type { Component } from "../component/Component.ts"
import type { Expressions } from "../component/Expressions.ts"
import { isPlainDict, type PlainDict } from "../expression/Value.ts"

/** State per parent's key, `{"1": {"updated_at": …}}`, as the state per partition that is kept today. */
const legacyToPerPartition = (
  expressions: Expressions,
  stream: Component,
  migration: Component,
  state: PlainDict
): PlainDict => {
  const router = stream.needed("retriever").needed("partition_router")
  const isUnion = router.type === "UnionPartitionRouter"
  const configs = router.children("parent_stream_configs")
  const [config] = configs
  if (!isUnion && router.type !== "SubstreamPartitionRouter") {
    migration.fail("", "it needs a stream with a SubstreamPartitionRouter or UnionPartitionRouter.")
  }
  const field = isUnion ? router.text("partition_field") : (config?.text("partition_field") ?? "")
  const sync = stream.needed("incremental_sync")
  const key = expressions.text(field, stream.parameters)
  const cursor = expressions.text(sync.text("cursor_field"), stream.parameters)
  if (Object.hasOwn(state, "states") || Object.keys(state).length === 0) return state
  if (!isUnion && configs.length !== 1) return state
  const entries = Object.entries(state)
  const isLegacy = entries.every(
    ([, value]) =>
      value !== null && isPlainDict(value) && Object.keys(value).length === 1 && Object.hasOwn(value, cursor)
  )
  return isLegacy ? { states: entries.map(([name, value]) => ({ partition: { [key]: name }, cursor: value })) } : state
}

/** A stream's state as it is kept today. */
export const migrateState = (expressions: Expressions, stream: Component, state: PlainDict): PlainDict => {
  let migrated = state
  for (const migration of stream.children("state_migrations")) {
    // State of an older connector in Python is not there in a new platform.
    if (migration.type === "CustomStateMigration") continue
    if (migration.type !== "LegacyToPerPartitionStateMigration") {
      return migration.fail("type", `${migration.type} is not there yet.`, "unsupported")
    }
    migrated = legacyToPerPartition(expressions, stream, migration, migrated)
  }
  return migrated
}
