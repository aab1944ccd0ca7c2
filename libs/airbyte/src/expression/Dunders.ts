import { PyDate, PyTime, PyTimeDelta, PyZone } from "./DateTime.ts"
import { PyDict, PyDictView, PySet } from "./Dict.ts"
import { PyDuration } from "./Duration.ts"
import { floatOf, isPlainDict, PyBytes, PyMarkup, PyTuple, PyUndefined, type Value } from "./Value.ts"

const words = (text: string): ReadonlySet<string> => new Set(text.split(" ").map((word) => `__${word}__`))

/** Internal attributes every object of Python has. Expressions may not read them: they are there, and refused. */
const object = words(
  "class delattr dir doc eq format ge getattribute getstate gt hash init init_subclass le lt ne new reduce reduce_ex repr setattr sizeof str subclasshook"
)
const sequence = "add contains getitem iter len mul rmul"
const number =
  "abs add bool divmod float floordiv getnewargs int mod mul neg pos radd rdivmod rfloordiv rmod rmul round rpow rsub rtruediv sub truediv trunc pow ceil floor"
const text = words(`${sequence} getnewargs mod rmod`)
const markup = words(`${sequence} getnewargs mod rmod html html_format module radd slots`)
const list = words(`${sequence} class_getitem delitem iadd imul reversed setitem`)
const tuple = words(`${sequence} class_getitem getnewargs`)
const dict = words("class_getitem contains delitem getitem ior iter len or reversed ror setitem")
const whole = words(`${number} and index invert lshift or rand rlshift ror rrshift rshift rxor xor`)
const real = words(`${number} getformat`)
const date = words("add radd rsub sub")
const delta = words(
  "abs add bool divmod floordiv mod mul neg pos radd rdivmod rfloordiv rmod rmul rsub rtruediv sub truediv"
)
const duration = words("add dict getattr module mul neg radd rmul rsub setstate sub weakref")
const view = words("and contains iter len or rand reversed ror rsub rxor sub xor")
const set = words("and class_getitem contains iand ior isub iter ixor len or rand ror rsub rxor sub xor")
const bytes = words(`${sequence} bytes getnewargs mod rmod`)
const undefinedValue = words(
  "add aiter bool call complex div float floordiv getattr getitem int iter len mod module mul neg pos pow radd rdiv rfloordiv rmod rmul rpow rsub rtruediv slots sub truediv"
)
const none = words("bool")
const zone = words("getinitargs")
const empty: ReadonlySet<string> = new Set()

const namesOf = (value: Value): ReadonlySet<string> => {
  if (typeof value === "string") return text
  if (value === null) return none
  if (typeof value === "boolean" || typeof value === "bigint") return whole
  if (floatOf(value) !== undefined) return real
  if (typeof value === "number") return whole
  if (Array.isArray(value)) return list
  if (value instanceof PyDict || isPlainDict(value)) return dict
  if (value instanceof PyTuple) return tuple
  if (value instanceof PyMarkup) return markup
  if (value instanceof PyUndefined) return undefinedValue
  if (value instanceof PyDate) return date
  if (value instanceof PyTime) return empty
  if (value instanceof PyTimeDelta) return delta
  if (value instanceof PyDuration) return duration
  if (value instanceof PyDictView) return view
  if (value instanceof PySet) return set
  if (value instanceof PyBytes) return bytes
  if (value instanceof PyZone) return zone
  return empty
}

/** Whether Python's object of this type has the internal attribute. */
export const hasDunder = (value: Value, name: string): boolean =>
  name.startsWith("__") && (object.has(name) || namesOf(value).has(name))
