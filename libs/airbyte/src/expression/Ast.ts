import type { Value } from "./Value.ts"

/** Arguments of a call, filter or test. */
export interface Arguments {
  readonly args: ReadonlyArray<Expression>
  readonly kwargs: ReadonlyArray<readonly [name: string, value: Expression]>
  readonly dynArgs: Expression | undefined
  readonly dynKwargs: Expression | undefined
}

export type CompareOperator = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not in"

/** Every node knows its offset in the template. */
export type Expression = { readonly at: number } & (
  | { readonly kind: "const"; readonly value: Value }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "list"; readonly items: ReadonlyArray<Expression> }
  | { readonly kind: "tuple"; readonly items: ReadonlyArray<Expression> }
  | { readonly kind: "dict"; readonly items: ReadonlyArray<readonly [Expression, Expression]> }
  | {
      readonly kind: "cond"
      readonly test: Expression
      readonly value: Expression
      readonly otherwise: Expression | undefined
    }
  | { readonly kind: "and" | "or"; readonly left: Expression; readonly right: Expression }
  | { readonly kind: "not" | "neg" | "pos"; readonly operand: Expression }
  | {
      readonly kind: "binary"
      readonly operator: "+" | "-" | "*" | "/" | "//" | "%" | "**"
      readonly left: Expression
      readonly right: Expression
    }
  | { readonly kind: "concat"; readonly items: ReadonlyArray<Expression> }
  | {
      readonly kind: "compare"
      readonly first: Expression
      readonly rest: ReadonlyArray<readonly [CompareOperator, Expression]>
    }
  | { readonly kind: "attribute"; readonly object: Expression; readonly name: string }
  | { readonly kind: "item"; readonly object: Expression; readonly key: Expression }
  | {
      readonly kind: "slice"
      readonly object: Expression
      readonly start: Expression | undefined
      readonly stop: Expression | undefined
      readonly step: Expression | undefined
    }
  | { readonly kind: "slicevalue" }
  | ({ readonly kind: "call"; readonly callee: Expression } & Arguments)
  | ({ readonly kind: "filter"; readonly name: string; readonly operand: Expression | undefined } & Arguments)
  | ({ readonly kind: "test"; readonly name: string; readonly operand: Expression } & Arguments)
)

/** What can be assigned to. */
export type Target = { readonly at: number } & (
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "namespace"; readonly name: string; readonly attribute: string }
  | { readonly kind: "tuple"; readonly items: ReadonlyArray<Target> }
)

export interface Macro {
  readonly name: string | undefined
  readonly params: ReadonlyArray<string>
  readonly defaults: ReadonlyArray<Expression>
  readonly body: ReadonlyArray<Statement>
}

export type FilterNode = Extract<Expression, { readonly kind: "filter" }>
export type CallNode = Extract<Expression, { readonly kind: "call" }>

export type Statement = { readonly at: number } & (
  | { readonly kind: "data"; readonly text: string }
  | { readonly kind: "output"; readonly expression: Expression }
  | {
      readonly kind: "if"
      readonly branches: ReadonlyArray<{ readonly test: Expression; readonly body: ReadonlyArray<Statement> }>
      readonly otherwise: ReadonlyArray<Statement>
    }
  | {
      readonly kind: "for"
      readonly target: Target
      readonly items: Expression
      readonly test: Expression | undefined
      readonly recursive: boolean
      readonly body: ReadonlyArray<Statement>
      readonly otherwise: ReadonlyArray<Statement>
    }
  | { readonly kind: "set"; readonly target: Target; readonly value: Expression }
  | {
      readonly kind: "setblock"
      readonly target: Target
      readonly filter: FilterNode | undefined
      readonly body: ReadonlyArray<Statement>
    }
  | {
      readonly kind: "with"
      readonly targets: ReadonlyArray<readonly [Target, Expression]>
      readonly body: ReadonlyArray<Statement>
    }
  | { readonly kind: "filterblock"; readonly filter: FilterNode; readonly body: ReadonlyArray<Statement> }
  | { readonly kind: "macro"; readonly macro: Macro; readonly name: string }
  | { readonly kind: "callblock"; readonly call: CallNode; readonly macro: Macro }
  | { readonly kind: "block"; readonly name: string; readonly scoped: boolean; readonly body: ReadonlyArray<Statement> }
  | { readonly kind: "load"; readonly template: Expression; readonly names: ReadonlyArray<string> }
)
