import type { Settings } from "./Client.ts"

/**
 * Settings of every insert. Each is here because its default, on this version or another, would lose, double or alter rows.
 * Those that a server does not know are left out (`deduplicate_*` are new names of 26.x).
 */
export const insertSettings: Settings = {
  // The answer must mean that the rows are stored, and they must be a block of their own.
  async_insert: 0,
  insert_deduplicate: 1,
  deduplicate_insert: "enable",
  // The SELECT from input() gives the same rows in the same order, though the server cannot know it.
  deduplicate_insert_select: "enable_even_for_bad_queries",
  // Targets of materialised views are deduplicated too (default 0 on older servers).
  deduplicate_blocks_in_dependent_materialized_views: 1,
  // A batch (at most 500,000 rows, 128 MiB) is one block, and so all or nothing.
  max_insert_block_size: 1_048_576,
  min_insert_block_size_rows: 1_048_576,
  min_insert_block_size_bytes: 2 ** 30,
  use_strict_insert_block_limits: 0,
  max_insert_threads: 1,
  // One parser keeps rows in order and makes no smaller blocks.
  input_format_parallel_parsing: 0,
  max_partitions_per_insert_block: 100,
  throw_on_max_partitions_per_insert_block: 1,
  // Rows stay as they are until a merge, so that those of one insert can be counted.
  optimize_on_insert: 0,
  // The fast parser of floats is off by one in the last place at times, and makes 5e-324 zero.
  precise_float_parsing: 1,
  date_time_input_format: "best_effort",
  // A value that cannot be read is an error, never a default.
  insert_null_as_default: 0,
  input_format_null_as_default: 0,
  input_format_skip_unknown_fields: 0,
  input_format_allow_errors_num: 0,
  input_format_allow_errors_ratio: 0,
  input_format_defaults_for_omitted_fields: 0,
  input_format_json_empty_as_default: 0,
  input_format_json_throw_on_bad_escape_sequence: 1,
  // Values that are not strings are kept in text columns as the JSON they are.
  input_format_json_read_numbers_as_strings: 1,
  input_format_json_read_bools_as_strings: 1,
  input_format_json_read_objects_as_strings: 1,
  input_format_json_read_arrays_as_strings: 1
}
