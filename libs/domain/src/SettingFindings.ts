import { Result, Schema, type SchemaAST } from "effect"
import { adviceFor, describeNode, hidden, inFlow, shortened } from "./NodeText.ts"
import type { Range } from "./SecretText.ts"
import { expectedOf } from "./Setting.ts"
import { type Finding, isScalar, type Node, type SettingPath, type YamlSource } from "./YamlSource.ts"

const decoders = new WeakMap<SchemaAST.AST, (value: unknown) => boolean>()

/** Whether a value is one of this type, as the user writes it. */
export const fits = (ast: SchemaAST.AST, value: unknown): boolean => {
  let decoder = decoders.get(ast)
  if (decoder === undefined) {
    const decode = Schema.decodeUnknownResult(Schema.make<Schema.Codec<unknown>>(ast))
    decoder = (value) => Result.isSuccess(decode(value))
    decoders.set(ast, decoder)
  }
  return decoder(value)
}

/** A value that is read. */
export interface Task {
  readonly ast: SchemaAST.AST
  readonly node: Node | null
  readonly path: SettingPath
  /** Where to report what is missing inside. */
  readonly key: Range
  /** Where to report the value itself: where it stands, or the alias that stands for it. */
  readonly at: Range
  readonly example: unknown
}

/** What `read` gives for a value that is not usable. */
export const unusable = Symbol("unusable")

/** Keeps what is found wrong with a file. */
export class SettingFindings {
  readonly all: Array<Finding> = []
  readonly #source: YamlSource

  constructor(source: YamlSource) {
    this.#source = source
  }

  report(range: Range, path: SettingPath, found: string, expected: string, advice: string): typeof unusable {
    this.all.push({ range, path, found, expected, advice })
    return unusable
  }

  shown(node: Node | null): string {
    return describeNode(node, this.#source.secrets)
  }

  /** What to do about a wrong value; repeats nothing of a value that is not shown. */
  #hintFor({ ast, example, node }: Task): string {
    if (node === null || (isScalar(node) && node.value === null)) return "Give it a value, or remove the line."
    const value = isScalar(node) && this.shown(node) !== hidden ? node.value : undefined
    const own = adviceFor(ast, value)
    if (own !== undefined) return own
    if ((typeof value === "number" || typeof value === "boolean") && fits(ast, String(value))) {
      return `Put it in quotes: "${isScalar(node) ? (node.source ?? value) : value}".`
    }
    return example === undefined ? "Correct the value." : `Write it as in this example: ${inFlow(example)}.`
  }

  wrong(task: Task, advice?: string, found?: string): typeof unusable {
    return this.report(
      task.at,
      task.path,
      found ?? this.shown(task.node),
      expectedOf(task.ast),
      shortened(advice ?? this.#hintFor(task))
    )
  }
}
