import { Predicate } from "effect"
import type { Expression, Statement } from "../expression/Ast.ts"
import { ExpressionError } from "../expression/ExpressionError.ts"
import { isFalse } from "../expression/Interpolation.ts"
import { readTemplate } from "../expression/CompiledTemplate.ts"
import { str } from "../expression/Repr.ts"

/**
 * Whether smaller pages can make a `stop_condition` end a walk too early: the CDK's `stop_condition_safety`. A page that is full at a
 * reduced size is short by a fixed number, and a walk that ends with a short page would leave out the rest without a word.
 */
export type Safety = "safe" | "truncates" | "unknown"

type Node = Expression | Statement

interface Comparison {
  readonly left: Expression
  readonly operator: string
  readonly right: Expression
  /** Whether the truth of the condition follows that of the comparison. */
  readonly decides: boolean
}

const isNode = (value: unknown): value is Node =>
  Predicate.isObject(value) && "at" in value && "kind" in value && typeof value.kind === "string"

/** What stands within a node, or within a list of nodes. */
const nodesIn = (value: unknown): ReadonlyArray<Node> => {
  if (Array.isArray(value)) return value.flatMap((item: unknown) => (isNode(item) ? [item] : nodesIn(item)))
  if (!Predicate.isObject(value)) return []
  return Object.values(value).flatMap((item: unknown) => (isNode(item) ? [item] : nodesIn(item)))
}

const references = (node: Node, name: string): boolean =>
  (node.kind === "name" && node.name === name) || nodesIn(node).some((inner) => references(inner, name))

const templateOf = (text: string): ReadonlyArray<Statement> | undefined => {
  try {
    return readTemplate(text)
  } catch (error) {
    if (error instanceof ExpressionError) return undefined
    throw error
  }
}

/** Whether an expression reads a variable. */
export const readsVariable = (text: string, name: string): boolean =>
  templateOf(text)?.some((statement) => references(statement, name)) === true

/** Whether a branch renders text that is true, and nothing else. */
const isTrueText = (body: ReadonlyArray<Statement>): boolean => {
  let text = ""
  for (const statement of body) {
    if (statement.kind === "data") text += statement.text
    else if (statement.kind === "output" && statement.expression.kind === "const")
      text += str(statement.expression.value)
    else return false
  }
  return !isFalse(text)
}

const comparisonsIn = (node: Node, decides: boolean): ReadonlyArray<Comparison> => {
  if (node.kind === "compare") {
    const found: Array<Comparison> = []
    let left = node.first
    for (const [operator, right] of node.rest) {
      found.push({ left, operator, right, decides })
      left = right
    }
    const operands = [node.first, ...node.rest.map(([, right]) => right)]
    return [...found, ...operands.flatMap((operand) => comparisonsIn(operand, false))]
  }
  if (node.kind === "if") {
    const [first, ...others] = node.branches
    if (first === undefined) return []
    const follows = decides && others.length === 0 && node.otherwise.length === 0 && isTrueText(first.body)
    const rest = nodesIn([first.body, others, node.otherwise])
    return [...comparisonsIn(first.test, follows), ...rest.flatMap((inner) => comparisonsIn(inner, false))]
  }
  const passes = node.kind === "and" || node.kind === "or" || node.kind === "output"
  return nodesIn(node).flatMap((inner) => comparisonsIn(inner, decides && passes))
}

const mirrored: { readonly [operator: string]: string } = { "<": ">", "<=": ">=", ">": "<", ">=": "<=" }

const upperBounded = ({ decides, left, operator, right }: Comparison): boolean => {
  if (!["<", "<=", ">", ">="].includes(operator)) return false
  if (!decides) return true
  return (operator.startsWith("<") ? left : right).kind !== "const"
}

/** The `page_size` variable itself, filters aside. */
const isRequestedSize = (node: Expression): boolean =>
  node.kind === "filter"
    ? node.operand !== undefined && isRequestedSize(node.operand)
    : node.kind === "name" && node.name === "page_size"

const lastSize = "last_page_size"

const safetyOf = (comparison: Comparison, minimum: number): Safety => {
  let { left, operator, right } = comparison
  if (references(right, lastSize) && !references(left, lastSize)) {
    const swapped = left
    left = right
    right = swapped
    operator = mirrored[operator] ?? operator
  } else if (references(left, lastSize) && references(right, lastSize)) return "unknown"
  const isBare = left.kind === "name"
  switch (operator) {
    case "==":
    case "!=":
      return isBare && right.kind === "const" && right.value === 0 ? "safe" : "unknown"
    case ">":
    case ">=":
      return isBare ? "safe" : "unknown"
    case "<":
    case "<=": {
      if (left.kind === "binary" || left.kind === "and" || left.kind === "or") return "unknown"
      if (references(right, "page_size")) return isRequestedSize(right) ? "safe" : "unknown"
      if (right.kind === "const" && typeof right.value === "number" && Number.isInteger(right.value)) {
        return right.value + (operator === "<" ? 0 : 1) <= minimum ? "safe" : "truncates"
      }
      return "truncates"
    }
    default:
      return "unknown"
  }
}

/** What a reduction to no less than `minimum` records may do to a walk that a condition ends. */
export const stopSafety = (text: string, minimum: number): Safety => {
  const template = templateOf(text)
  if (template === undefined) return "unknown"
  // Text beside the comparison is true by itself.
  const comparisons = template.flatMap((statement) => comparisonsIn(statement, template.length === 1))
  if (!template.some((statement) => references(statement, lastSize))) {
    return comparisons.some(upperBounded) ? "unknown" : "safe"
  }
  let understood = 0
  let isUnknown = false
  for (const comparison of comparisons) {
    if (!references(comparison.left, lastSize) && !references(comparison.right, lastSize)) continue
    const safety = comparison.decides ? safetyOf(comparison, minimum) : "unknown"
    if (safety === "truncates") return safety
    if (safety === "unknown") isUnknown = true
    else understood++
  }
  return isUnknown || understood === 0 ? "unknown" : "safe"
}
