import { type Arguments, bind } from "./Arguments.ts"
import { getItem } from "./Attributes.ts"
import { type Kwargs, PyUndefined, strOf, type Value } from "./Value.ts"
import { str } from "./Repr.ts"

/** A filter or test: the value it is applied to, and its arguments. */
export type Filter = (value: Value, args: Arguments, kwargs: Kwargs) => Value

type Body = (value: Value, args: ReadonlyArray<Value | undefined>) => Value

/** A filter with named parameters after the value; those after the first `required` may be left out. */
export const filter = (
  name: string,
  params: ReadonlyArray<string>,
  required: number,
  body: Body
): readonly [string, Filter] => [name, (value, args, kwargs) => body(value, bind(name, params, required, args, kwargs))]

/** Text for a filter that works on text: anything is printed first. */
export const soft = (value: Value): string => strOf(value) ?? str(value)

/** A function that follows a dotted path such as `address.city` or `0`, by the rules of `obj[key]`. */
export const getter = (attribute: Value, fallback?: Value): ((item: Value) => Value) => {
  const path = pathOf(attribute)
  return (item) => {
    let value = item
    for (const part of path) {
      value = getItem(value, part)
      if (fallback !== undefined && fallback !== null && value instanceof PyUndefined) value = fallback
    }
    return value
  }
}

export const pathOf = (attribute: Value): ReadonlyArray<Value> => {
  if (attribute === null) return []
  const text = strOf(attribute)
  if (text === undefined) return [attribute]
  return text.split(".").map((part): Value => (/^\d+$/.test(part) ? Number(part) : part))
}

export const lowered = (value: Value): Value => {
  const text = strOf(value)
  return text === undefined ? value : text.toLowerCase()
}
