import type { Frame } from "./Frame.ts"
import type { Symbols } from "./Symbols.ts"

/** A function of the compiled template: which slot each of its variables has. */
export class Func {
  readonly parent: Func | undefined
  private readonly slots = new Map<string, number>()
  constructor(parent: Func | undefined) {
    this.parent = parent
  }
  /** The slot of a variable of this function. */
  slot(ident: string): number {
    const known = this.slots.get(ident)
    if (known !== undefined) return known
    this.slots.set(ident, this.slots.size)
    return this.slots.size - 1
  }
  /** How many functions out the variable lives, and its slot there. */
  find(ident: string): readonly [depth: number, slot: number] {
    return this.search(ident, 0) ?? [0, this.slot(ident)]
  }
  private search(ident: string, depth: number): readonly [depth: number, slot: number] | undefined {
    const slot = this.slots.get(ident)
    return slot === undefined ? this.parent?.search(ident, depth + 1) : [depth, slot]
  }
}

/** Where an expression stands. */
export interface Scope {
  readonly symbols: Symbols
  readonly func: Func
  readonly toplevel: boolean
  readonly loop: boolean
  /** Inside an `if`: an unknown filter or test fails only when it is reached. */
  readonly soft: boolean
  /** The expression is made of constants alone. */
  readonly constant?: boolean
  /** The expression is part of one that Jinja tries to evaluate when it compiles. */
  readonly folded?: boolean
  /** There is a slice in it. */
  readonly sliced?: boolean
}

export const outerFrame = (frame: Frame, depth: number): Frame => {
  let found = frame
  for (let left = depth; left > 0 && found.parent !== undefined; left--) found = found.parent
  return found
}
