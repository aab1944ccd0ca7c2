import type { LosslessJson } from "@tributary/codec"
import { isList, isMembers, type Members, placesOf, selectorOf } from "./Places.ts"

/** Where an answer has its records. */
export interface FoundRecords {
  /** As `records` of a stream. */
  readonly selector: string
  readonly records: ReadonlyArray<Members>
  /** Key that the list stands under; `undefined`: it is the answer. */
  readonly name: string | undefined
}

/** Names by which APIs call the list of a page, in the order in which they count where lists are equally long. */
const usual = ["data", "items", "results", "records", "value", "values", "entries", "list", "rows", "content", "edges"]

/** Lists of GraphQL hold their records one level down (Relay's cursor connections). */
const nodesOf = (list: ReadonlyArray<Members>): ReadonlyArray<Members> | undefined => {
  const nodes = list.map(({ node }) => node)
  return list.length > 0 && nodes.every(isMembers) && list.every((edge) => Object.keys(edge).length <= 2)
    ? nodes.filter(isMembers)
    : undefined
}

const inList = (
  list: ReadonlyArray<LosslessJson.Json>,
  path: ReadonlyArray<string>,
  name: string | undefined
): FoundRecords => {
  const records = list.filter(isMembers)
  const nodes = nodesOf(records)
  const selector = `${selectorOf(path)}[*]`
  return nodes === undefined ? { selector, records, name } : { selector: `${selector}.node`, records: nodes, name }
}

/** The largest list of objects that an answer has; of equally long ones the outer one, then the one with a usual name. */
export const findRecords = (document: LosslessJson.Json): FoundRecords | undefined => {
  if (isList(document)) {
    return document.every(isMembers) ? inList(document, [], undefined) : undefined
  }
  const places = placesOf(document).filter(({ value }) => isList(value) && value.every(isMembers))
  const rank = (path: ReadonlyArray<string>): number => {
    const at = usual.indexOf(path.at(-1)?.toLowerCase() ?? "")
    return at < 0 ? usual.length : at
  }
  const [best] = places.toSorted((a, b) => {
    const longer = (isList(b.value) ? b.value.length : 0) - (isList(a.value) ? a.value.length : 0)
    return longer || a.path.length - b.path.length || rank(a.path) - rank(b.path)
  })
  return best === undefined || !isList(best.value) ? undefined : inList(best.value, best.path, best.path.at(-1))
}
