import type { PlainDict } from "../expression/Value.ts"

/** Says that an extraction cannot go on before a list is read as a whole. */
export class NeededList {
  /** The expander's place in the manifest. */
  readonly path: string
  readonly parent: PlainDict
  constructor(path: string, parent: PlainDict) {
    this.path = path
    this.parent = parent
  }
}

/** Lists that were asked for, in the order in which the extraction of one answer meets them. */
export interface ListsOfAnswer {
  readonly known: Map<string, Array<ReadonlyArray<PlainDict>>>
}

/**
 * What expanders are given when a record holds only the beginning of a list (`truncated_list_retriever`). Extraction is pure, so that it
 * is stopped at such a record with a `NeededList`, and begun again when the list is there.
 */
export class TruncatedLists {
  private current: ListsOfAnswer | undefined
  private readonly at = new Map<string, number>()
  private readonly warned = new Set<string>()
  private warnings: Array<string> = []

  /** Runs an extraction with the lists that are known of its answer. */
  during<A>(answer: ListsOfAnswer, extract: () => A): A {
    this.current = answer
    this.at.clear()
    try {
      return extract()
    } finally {
      this.current = undefined
    }
  }

  /** The whole list of a record; throws a `NeededList` when it has not been read yet. */
  of(path: string, parent: PlainDict): ReadonlyArray<PlainDict> {
    const index = this.at.get(path) ?? 0
    this.at.set(path, index + 1)
    const list = this.current?.known.get(path)?.[index]
    if (list === undefined) throw new NeededList(path, parent)
    return list
  }

  /** Warns once of each kind. */
  warn(kind: string, message: string): void {
    if (this.warned.has(kind)) return
    this.warned.add(kind)
    this.warnings.push(message)
  }

  takeWarnings(): ReadonlyArray<string> {
    const taken = this.warnings
    this.warnings = []
    return taken
  }
}
