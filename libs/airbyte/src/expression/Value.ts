import { PyError, type PyErrorKind } from "./PyError.ts"

/**
 * A value of the evaluated language.
 *
 * JSON data is used as it is, without conversion: `null` is None, a string a str, an array a list, a plain object a dict.
 * A number that is a safe integer is an int; any other number is a float. A float whose value is a safe integer (1.0) is
 * therefore a `PyFloat`, and an int beyond the safe integers a bigint. Everything else is a `PyObject`.
 */
export type Value = null | boolean | number | bigint | string | Array<Value> | PyObject | PlainDict

/** A dict from JSON: only its own enumerable properties are seen. */
export interface PlainDict {
  [key: string]: Value
}

/** The data an expression is evaluated with: JSON values, and the values of this folder. */
export interface Context {
  readonly [name: string]: Value
}

/** A value that JSON has no word for. */
export abstract class PyObject {
  /** Python's name of the type, as error messages show it. */
  abstract readonly type: string
}

/** A float whose value is a safe integer; all other floats are plain numbers. */
export class PyFloat extends PyObject {
  readonly type = "float"
  readonly value: number
  constructor(value: number) {
    super()
    this.value = value
  }
}

export class PyComplex extends PyObject {
  readonly type = "complex"
  readonly re: number
  readonly im: number
  constructor(re: number, im: number) {
    super()
    this.re = re
    this.im = im
  }
}

export class PyEllipsis extends PyObject {
  readonly type = "ellipsis"
}
export const ellipsis = new PyEllipsis()

/** A tuple; `names` makes it a namedtuple. */
export class PyTuple extends PyObject {
  readonly type: string
  readonly items: ReadonlyArray<Value>
  readonly names: ReadonlyArray<string> | undefined
  constructor(items: ReadonlyArray<Value>, type = "tuple", names?: ReadonlyArray<string>) {
    super()
    this.items = items
    this.type = type
    this.names = names
  }
}

/** The type of a group made by `groupby`: it has names, and prints as a plain tuple. */
export const groupTuple = "_GroupTuple"

export class PyBytes extends PyObject {
  readonly type = "bytes"
  readonly bytes: Uint8Array
  constructor(bytes: Uint8Array) {
    super()
    this.bytes = bytes
  }
}

/** Text marked as safe HTML; what is joined to it is escaped. */
export class PyMarkup extends PyObject {
  readonly type = "Markup"
  readonly value: string
  constructor(value: string) {
    super()
    this.value = value
  }
}

/** Jinja's answer for a name, key or attribute that is not there: prints as nothing, and fails when it is used. */
export class PyUndefined extends PyObject {
  readonly type = "Undefined"
  readonly message: string
  readonly kind: PyErrorKind
  constructor(message: string, kind: PyErrorKind = "UndefinedError") {
    super()
    this.message = message
    this.kind = kind
  }
  error(): PyError {
    return new PyError(this.kind, this.message)
  }
}

/** An iterator that is used up by iterating it, such as the result of `map`. */
export class PyIterator extends PyObject {
  readonly type: string
  readonly name: string
  readonly iterator: Iterator<Value>
  constructor(iterator: Iterator<Value>, name: string, type = "generator") {
    super()
    this.iterator = iterator
    this.name = name
    this.type = type
  }
}

export type Kwargs = ReadonlyMap<string, Value>
export const noKwargs: Kwargs = new Map()

/** A function or bound method. */
export class PyCallable extends PyObject {
  readonly type: string
  readonly name: string
  readonly call: (args: ReadonlyArray<Value>, kwargs: Kwargs) => Value
  constructor(
    name: string,
    call: (args: ReadonlyArray<Value>, kwargs: Kwargs) => Value,
    type = "builtin_function_or_method"
  ) {
    super()
    this.name = name
    this.call = call
    this.type = type
  }
}

/** What `namespace()` makes: the one object whose attributes `set` may change. */
export class PyNamespace extends PyObject {
  readonly type = "Namespace"
  readonly attributes: Map<string, Value>
  constructor(attributes: Map<string, Value>) {
    super()
    this.attributes = attributes
  }
}

/** An object with attributes of its own and no other behaviour: `loop`, `cycler()`, a macro. */
export abstract class PyAttributes extends PyObject {
  abstract attribute(name: string): Value | undefined
  abstract repr(): string
}

/** A float as a value. */
export const float = (value: number): Value => (Number.isSafeInteger(value) ? new PyFloat(value) : value)

/** An int as a value. */
export const int = (value: bigint): number | bigint =>
  value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value

/** The value, or another when there is none; None is a value. */
export const orElse = (value: Value | undefined, other: () => Value): Value => (value === undefined ? other() : value)

export const isInt = (value: Value): value is number | bigint =>
  typeof value === "number" ? Number.isSafeInteger(value) : typeof value === "bigint"

/** The number of a float, or undefined for anything else. */
export const floatOf = (value: Value): number | undefined =>
  typeof value === "number"
    ? Number.isSafeInteger(value)
      ? undefined
      : value
    : value instanceof PyFloat
      ? value.value
      : undefined

/** The integer of an int or bool (a kind of int), or undefined. */
export const intOf = (value: Value): number | bigint | undefined =>
  typeof value === "boolean" ? (value ? 1 : 0) : isInt(value) ? value : undefined

/** A str, also one marked as safe, or undefined. */
export const strOf = (value: Value | undefined): string | undefined =>
  typeof value === "string" ? value : value instanceof PyMarkup ? value.value : undefined

export const isPlainDict = (value: Value): value is PlainDict =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof PyObject)

export const typeName = (value: Value): string => {
  switch (typeof value) {
    case "string":
      return "str"
    case "boolean":
      return "bool"
    case "bigint":
      return "int"
    case "number":
      return Number.isSafeInteger(value) ? "int" : "float"
    default:
      return value === null
        ? "NoneType"
        : Array.isArray(value)
          ? "list"
          : value instanceof PyObject
            ? value.type
            : "dict"
  }
}
