/** How often streams are walked through: once for each record of their parents, and for each pair of records where they have several. */
import type { PlainDict } from "../../../src/index.ts"
import { dictIn, listIn, own } from "./config.ts"
import type { Paging } from "./paging.ts"

const routersOf = (retriever: PlainDict) => {
  const router = own(retriever, "partition_router") ?? null
  return (Array.isArray(router) ? router : [router]).map((one) =>
    listIn(own(one, "parent_stream_configs")).map((parent) => dictIn(own(own(parent, "stream"), "retriever")))
  )
}

/** How many parents stand above each other over a retriever's stream. */
export const generationsOf = (retriever: PlainDict): number =>
  Math.max(
    0,
    ...routersOf(retriever)
      .flat()
      .map((parent) => 1 + generationsOf(parent))
  )

/** Records on a page of a parent. */
const mostOf = (generations: number): number => (generations >= 2 ? 1 : 2)

const pagesOf = (retriever: PlainDict): number => {
  const paginator = own(retriever, "paginator") ?? null
  return paginator === null || own(paginator, "type") === "NoPagination" ? 1 : 3
}

/** Partitions of a retriever's stream, as parents with records of `few` make them. */
const partitionsOf = (retriever: PlainDict): number =>
  routersOf(retriever)
    .filter((parents) => parents.length > 0)
    .map((parents) =>
      parents
        .map((parent) => partitionsOf(parent) * pagesOf(parent) * mostOf(generationsOf(parent)))
        .reduce((sum, count) => sum + count)
    )
    .reduce((product, count) => product * count, 1)

/** Partitions of one stream beyond which its walk asks for more than the API answers (`mostRequests`), whatever its pages. */
const mostPartitions = 6000

/**
 * The pages of parents: each of their records is read for, so that full pages of them would be too many, the more so where they have
 * parents of parents themselves. Where a stream multiplies parents with each other, each gives a single record.
 */
export const fewFor = (retrievers: ReadonlyArray<PlainDict>): ((paging: Paging, retriever: PlainDict) => Paging) => {
  const isProduct = retrievers.some((retriever) => partitionsOf(retriever) > mostPartitions)
  return (paging, retriever) => {
    const most = mostOf(generationsOf(retriever))
    const sizeOf = (page: number) =>
      isProduct ? (page === 1 ? Math.min(1, paging.sizeOf(page)) : 0) : Math.min(most, paging.sizeOf(page))
    return { ...paging, sizeOf }
  }
}
