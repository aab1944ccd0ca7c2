import type { Value } from "./Value.ts"

/** What a running template reads its names from. */
export interface Names {
  /** Names assigned at the top level, which blocks see. */
  readonly assigned: Map<string, Value>
  readonly lookup: (name: string) => Value | undefined
}

/** The variables of a running function: the template, a macro, a block, a recursive loop. */
export interface Frame {
  readonly vars: Array<Value | undefined>
  readonly parent: Frame | undefined
  readonly names: Names
}

/** Where text is written. */
export interface Output {
  text: string
}

export type Evaluate = (frame: Frame) => Value
export type Execute = (frame: Frame, output: Output) => void
