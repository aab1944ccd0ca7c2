import { createHash } from "node:crypto"

/** User of the embedded server. */
export const serverUser = "tributary"

const escaped = (text: string): string => text.replace(/[<>&"']/gu, (character) => `&#${character.codePointAt(0)};`)

/**
 * Configuration of the embedded server: as little memory and as few threads as loading and asking need, and no logs of its own
 * on the disk, where nobody would delete them.
 */
export const serverConfig = (usersFile: string, memoryBytes: number): string => `<clickhouse>
  <users_config>${escaped(usersFile)}</users_config>
  <timezone>UTC</timezone>
  <!-- Stopping does not wait for idle connections or for the statement that keeps the server alive. -->
  <shutdown_wait_unfinished>0</shutdown_wait_unfinished>
  <keep_alive_timeout>1</keep_alive_timeout>
  <max_server_memory_usage>${memoryBytes}</max_server_memory_usage>
  <mark_cache_size>${Math.floor(memoryBytes / 16)}</mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <index_mark_cache_size>${Math.floor(memoryBytes / 64)}</index_mark_cache_size>
  <mmap_cache_size>64</mmap_cache_size>
  <max_thread_pool_size>256</max_thread_pool_size>
  <max_thread_pool_free_size>16</max_thread_pool_free_size>
  <background_pool_size>2</background_pool_size>
  <background_merges_mutations_concurrency_ratio>2</background_merges_mutations_concurrency_ratio>
  <background_move_pool_size>1</background_move_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
  <background_common_pool_size>2</background_common_pool_size>
  <background_schedule_pool_size>8</background_schedule_pool_size>
  <background_buffer_flush_schedule_pool_size>1</background_buffer_flush_schedule_pool_size>
  <background_message_broker_schedule_pool_size>1</background_message_broker_schedule_pool_size>
  <background_distributed_schedule_pool_size>1</background_distributed_schedule_pool_size>
  <tables_loader_foreground_pool_size>2</tables_loader_foreground_pool_size>
  <tables_loader_background_pool_size>2</tables_loader_background_pool_size>
  <!-- The merge tree's defaults count on a larger pool. -->
  <merge_tree>
    <number_of_free_entries_in_pool_to_execute_mutation>2</number_of_free_entries_in_pool_to_execute_mutation>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>2</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
    <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>2</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
  </merge_tree>
</clickhouse>
`

/**
 * Users of the embedded server. The engine's own session is always `default` without a password; it may do nothing but keep
 * the server alive, and as it may have one session only, and has it, nobody can log in over the network as it.
 */
export const usersConfig = (password: string): string => `<clickhouse>
  <profiles>
    <default></default>
    <keeper><max_sessions_for_user>1</max_sessions_for_user></keeper>
  </profiles>
  <quotas><default></default></quotas>
  <users>
    <default>
      <no_password/>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>keeper</profile>
      <quota>default</quota>
      <grants>
        <query>GRANT SYSTEM LISTEN ON *.*</query>
        <query>GRANT SELECT ON system.numbers</query>
      </grants>
    </default>
    <${serverUser}>
      <password_sha256_hex>${createHash("sha256").update(password).digest("hex")}</password_sha256_hex>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
    </${serverUser}>
  </users>
</clickhouse>
`
