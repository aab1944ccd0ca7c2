import { Effect, Schema, SchemaAST } from "effect"

declare module "effect/Schema" {
  namespace Annotations {
    interface Annotations {
      /** Says how to mend a wrong value of this type, in one sentence; `undefined` when the value gives no hint. */
      readonly advice?: ((value: unknown) => string | undefined) | undefined
      /** The value is a secret and must be written as a reference; what is found in its place is never shown. */
      readonly secret?: boolean | undefined
      /** References inside the text are replaced when the connector starts. */
      readonly references?: boolean | undefined
      /** A list of names may stand for members that have no settings of their own. */
      readonly names?: boolean | undefined
      /** Members of any name and kind, which only the API knows. */
      readonly anything?: boolean | undefined
    }
  }
}

const examplesOf = (example: unknown) => (example === undefined ? {} : { examples: [example] })

/** A setting that must be given. */
export const required =
  (description: string, example?: unknown) =>
  <S extends Schema.Top>(schema: S) =>
    schema.annotateKey({ description, ...examplesOf(example) })

/** A setting that may be left out and then has no effect. */
export const optional =
  (description: string, example?: unknown) =>
  <S extends Schema.Top>(schema: S) =>
    Schema.optionalKey(schema).annotateKey({ description, ...examplesOf(example) })

/** A setting that may be left out; `value` is written as the user would write it. */
export const fallback =
  <const F>(value: F, description: string, example?: unknown) =>
  <S extends Schema.Top>(schema: S & { readonly Encoded: unknown }) =>
    schema
      .pipe(Schema.withDecodingDefaultKey(Effect.succeed(value as S["Encoded"])))
      .annotateKey({ description, fallback: value, ...examplesOf(example) })

/** What a setting is, as the decoder, the editor's schema and the reference page need it. */
export interface Setting {
  readonly name: string
  readonly ast: SchemaAST.AST
  readonly isRequired: boolean
  readonly description: string
  /** As the user would write it; `undefined`: the setting has no default. */
  readonly fallback: unknown
  readonly example: unknown
}

/** Whether a list of names may stand in a map's place. */
export const takesNames = (ast: SchemaAST.AST): boolean => SchemaAST.resolve(ast)?.["names"] === true

/** The settings of a struct, in the order in which they are declared. */
export const settingsOf = (struct: SchemaAST.Objects): ReadonlyArray<Setting> =>
  struct.propertySignatures.map(({ name, type }) => {
    const annotations = type.context?.annotations
    return {
      name: String(name),
      ast: type,
      isRequired: annotations?.["fallback"] === undefined && type.context?.isOptional !== true,
      description: annotations?.description ?? "",
      fallback: annotations?.["fallback"],
      example: annotations?.examples?.[0]
    }
  })

/** The ways in which a setting's value can be built. */
export type Shape =
  | { readonly _tag: "Struct"; readonly ast: SchemaAST.Objects; readonly settings: ReadonlyArray<Setting> }
  | {
      readonly _tag: "Map"
      readonly ast: SchemaAST.Objects
      readonly key: SchemaAST.AST
      readonly value: SchemaAST.AST
    }
  | { readonly _tag: "List"; readonly ast: SchemaAST.Arrays; readonly item: SchemaAST.AST }
  | { readonly _tag: "Choice"; readonly ast: SchemaAST.AST; readonly values: ReadonlyArray<string> }
  | { readonly _tag: "OneOf"; readonly ast: SchemaAST.AST; readonly members: ReadonlyArray<SchemaAST.AST> }
  | { readonly _tag: "Leaf"; readonly ast: SchemaAST.AST }
  /** An object of which only its user knows what is in it. */
  | { readonly _tag: "Anything"; readonly ast: SchemaAST.AST }

export const shapeOf = (ast: SchemaAST.AST): Shape => {
  if (SchemaAST.resolve(ast)?.["anything"] === true) return { _tag: "Anything", ast }
  if (SchemaAST.isObjects(ast)) {
    const entry = ast.indexSignatures[0]
    return entry === undefined
      ? { _tag: "Struct", ast, settings: settingsOf(ast) }
      : { _tag: "Map", ast, key: entry.parameter, value: entry.type }
  }
  const item = SchemaAST.isArrays(ast) ? ast.rest[0] : undefined
  if (SchemaAST.isArrays(ast) && item !== undefined) return { _tag: "List", ast, item }
  if (SchemaAST.isUnion(ast)) {
    const literals = ast.types.filter(SchemaAST.isLiteral)
    return literals.length === ast.types.length
      ? { _tag: "Choice", ast, values: literals.map(({ literal }) => String(literal)) }
      : { _tag: "OneOf", ast, members: ast.types }
  }
  return { _tag: "Leaf", ast }
}

/** The setting that tells one form of a `OneOf` from the others: the first one it declares. */
export const formOf = (ast: SchemaAST.AST): Setting | undefined => {
  const shape = shapeOf(ast)
  return shape._tag === "Struct" ? shape.settings[0] : undefined
}

/** What is expected of a value of this type, as the end of the sentence "expected ...". */
export const expectedOf = (ast: SchemaAST.AST): string => {
  const shape = shapeOf(ast)
  const stated = SchemaAST.resolve(ast)?.["expected"]
  if (typeof stated === "string") return stated
  switch (shape._tag) {
    case "Struct":
      return `the settings ${shape.settings.map(({ name }) => name).join(", ")}`
    case "Map":
    case "Anything":
      return "names with values"
    case "List":
      return "a list"
    case "Choice":
      return shape.values.length === 1 ? String(shape.values[0]) : `one of ${shape.values.join(", ")}`
    case "OneOf":
      return shape.members.map((member) => formOf(member)?.name ?? expectedOf(member)).join(" or ")
    case "Leaf":
      return SchemaAST.isNumber(ast) ? "a number" : SchemaAST.isBoolean(ast) ? "true or false" : "a text"
  }
}
