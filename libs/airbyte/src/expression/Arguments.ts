import { PyError, typeError } from "./PyError.ts"
import { intOf, strOf, typeName, type Kwargs, type Value } from "./Value.ts"

export type Arguments = ReadonlyArray<Value>
/** A method of a type: what it does with the value it was found on and its arguments. */
export type Method<Self> = (self: Self, args: Arguments, kwargs: Kwargs) => Value
export type Methods<Self> = { readonly [name: string]: Method<Self> }

/** Refuses keyword arguments and a wrong number of positional ones. */
export const positional = (name: string, args: Arguments, kwargs: Kwargs, min: number, max: number): Arguments => {
  if (kwargs.size > 0) throw typeError(`${name}() takes no keyword arguments`)
  if (args.length < min || args.length > max) {
    throw typeError(`${name}() takes ${min === max ? min : `${min} to ${max}`} arguments (${args.length} given)`)
  }
  return args
}

/** The arguments by parameter, in the order of `params`; those after the first `required` may be left out. */
export const bind = (
  name: string,
  params: ReadonlyArray<string>,
  required: number,
  args: Arguments,
  kwargs: Kwargs
): ReadonlyArray<Value | undefined> => {
  if (args.length > params.length) {
    throw typeError(`${name}() takes ${params.length} positional arguments but ${args.length} were given`)
  }
  if (kwargs.size === 0) {
    if (args.length < required) throw typeError(`${name}() missing a required argument: '${params[args.length]}'`)
    return args
  }
  const bound: Array<Value | undefined> = [...args]
  for (const [key, value] of kwargs) {
    const index = params.indexOf(key)
    if (index < 0) throw typeError(`${name}() got an unexpected keyword argument '${key}'`)
    if (bound[index] !== undefined) throw typeError(`${name}() got multiple values for argument '${key}'`)
    bound[index] = value
  }
  for (let index = 0; index < required; index++) {
    if (bound[index] === undefined) throw typeError(`${name}() missing a required argument: '${params[index]}'`)
  }
  return bound
}

/** A str argument. */
export const wantStr = (value: Value | undefined, what: string): string => {
  const text = strOf(value)
  if (text === undefined)
    throw typeError(`${what} must be str, not ${value === undefined ? "missing" : typeName(value)}`)
  return text
}

/** An argument used as an index or count. */
export const wantIndex = (value: Value): number => {
  const whole = intOf(value)
  if (whole === undefined) {
    throw typeError(`'${typeName(value)}' object cannot be interpreted as an integer`)
  }
  const result = Number(whole)
  if (Math.abs(result) > 9.3e18) throw new PyError("OverflowError", "Python int too large to convert to C ssize_t")
  return result
}

/** An optional count: None and left out are `fallback`. */
export const optionalIndex = (value: Value | undefined, fallback: number): number =>
  value === undefined ? fallback : wantIndex(value)

/** Start and end of a slice, of which either may be None or left out, within a sequence of `size` elements. */
export const range = (
  start: Value | undefined,
  end: Value | undefined,
  size: number
): readonly [start: number, end: number] => {
  const clamp = (value: Value | undefined, fallback: number): number => {
    if (value === undefined || value === null) return fallback
    const whole = intOf(value)
    if (whole === undefined) {
      throw typeError("slice indices must be integers or None or have an __index__ method")
    }
    const index = Number(whole)
    return index < 0 ? Math.max(0, index + size) : Math.min(index, size)
  }
  // A start beyond the end matters to find(): the empty text is not there.
  const from = start === undefined || start === null ? 0 : intOf(start)
  const raw = from === undefined ? 0 : Number(from)
  return [raw > size ? size + 1 : clamp(start, 0), clamp(end, size)]
}
