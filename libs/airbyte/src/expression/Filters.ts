import { cdkFilters } from "./CdkFilters.ts"
import { filters } from "./FilterTable.ts"
import { numberFilters } from "./NumberFilters.ts"
import { sequenceFilters } from "./SequenceFilters.ts"
import { textFilters } from "./TextFilters.ts"

/** Fills the table of filters. The CDK's own come last: its `string` takes the place of Jinja's. */
export const registerFilters = (): void => {
  for (const [name, filter] of [...textFilters, ...numberFilters, ...sequenceFilters, ...cdkFilters]) {
    filters.set(name, filter)
  }
}
