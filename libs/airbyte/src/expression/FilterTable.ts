import type { Filter } from "./FilterTypes.ts"

/** All filters by name; filled by `Filters.ts`, and read by the filters that apply others, such as `map`. */
export const filters = new Map<string, Filter>()
