import { bind, positional, wantStr } from "./Arguments.ts"
import { compare, truthy } from "./Compare.ts"
import { update } from "./ContainerMethods.ts"
import { deltaOf, fromTimestamp, PyDate, PyDateTime, pytzUtc, utc } from "./DateTime.ts"
import { PyDict } from "./Dict.ts"
import { addDelta, parseDuration } from "./Duration.ts"
import { parseToUtc } from "./IsoTime.ts"
import { iterate, sizeOf } from "./Iterate.ts"
import { tick } from "./Meter.ts"
import { truncate } from "./Numbers.ts"
import { PyError, typeError, valueError } from "./PyError.ts"
import { newUuid, nowMicros } from "./Ports.ts"
import { formatCdk, strftime } from "./Strftime.ts"
import { parseCdk, strptime } from "./Strptime.ts"
import { quote } from "./TextFilters.ts"
import {
  float,
  floatOf,
  intOf,
  PyAttributes,
  PyCallable,
  PyNamespace,
  PyUndefined,
  strOf,
  typeName,
  type Kwargs,
  type Value
} from "./Value.ts"
import { repr } from "./Repr.ts"

type Call = (args: ReadonlyArray<Value>, kwargs: Kwargs) => Value

const now = (): PyDateTime => PyDateTime.fromEpoch(BigInt(nowMicros()), utc)

/** Text for a parser of dates; anything else fails as it does in Python. */
const dateText = (value: Value): string => {
  const text = strOf(value)
  if (text !== undefined) return text
  if (value instanceof PyUndefined) throw value.error()
  const size = sizeOf(value)
  if (size !== undefined && size < 4) throw valueError("ISO string too short")
  throw typeError(`object of type '${typeName(value)}' is not a date`)
}

const strToDateTime = (value: Value): PyDateTime => parseToUtc(dateText(value))

const timestamp: Call = (args, kwargs) => {
  const [value = null] = bind("timestamp", ["dt"], 1, args, kwargs)
  const whole = intOf(value)
  if (whole !== undefined) return whole
  const real = floatOf(value)
  return real === undefined ? float(strToDateTime(value).timestamp()) : truncate(real)
}

const extreme = (name: "max" | "min"): Call => {
  return (args, kwargs) => {
    if (kwargs.size > 0) throw typeError(`${name}() got an unexpected keyword argument`)
    const [only] = args
    if (only === undefined) throw typeError(`${name} expected at least 1 argument, got 0`)
    let best: Value | undefined
    for (const item of args.length === 1 ? iterate(only) : args) {
      tick()
      if (best === undefined || compare(item, best, name === "max" ? ">" : "<")) best = item
    }
    if (best === undefined) throw valueError(`${name}() arg is an empty sequence`)
    return best
  }
}

const numberFor = (value: Value, what: string): number | bigint => {
  const whole = intOf(value) ?? floatOf(value)
  if (whole === undefined) {
    if (value instanceof PyUndefined) throw typeError(`unsupported type for ${what}: Undefined`)
    throw typeError(`unsupported type for ${what}: ${typeName(value)}`)
  }
  return whole
}

const dayDelta: Call = (args, kwargs) => {
  const [days = null, format = "%Y-%m-%dT%H:%M:%S.%f%z"] = bind("day_delta", ["num_days", "format"], 1, args, kwargs)
  const delta = deltaOf([[numberFor(days, "timedelta days component"), 86_400_000_000]])
  return strftime(addDelta(now(), delta), wantStr(format, "strftime() argument 1"))
}

/** Formats that read a number, as which a bool counts too. */
const numericFormats = new Set(["%s", "%s_as_float", "%ms", "%epoch_microseconds"])

const formatDateTime: Call = (args, kwargs) => {
  const [value = null, formatArg = null, input = null] = bind(
    "format_datetime",
    ["dt", "format", "input_format"],
    2,
    args,
    kwargs
  )
  if (value instanceof PyDateTime) return strftime(value, wantStr(formatArg, "strftime() argument 1"))
  const whole = intOf(value)
  let parsed: PyDateTime
  if (whole !== undefined) {
    if (!truthy(input)) parsed = fromTimestampChecked(whole)
    else {
      const format = wantStr(input, "strptime() argument 1")
      const text = typeof value === "boolean" && !numericFormats.has(format) ? repr(value) : String(whole)
      parsed = parseCdk(text, format)
    }
  } else if (truthy(input)) {
    const text = strOf(value)
    if (text === undefined) throw typeError(`strptime() argument 1 must be str, not ${typeName(value)}`)
    parsed = strptime(text, wantStr(input, "strptime() argument 2"))
  } else parsed = strToDateTime(value)
  const aware = parsed.zone === undefined ? new PyDateTime(parsed.days, parsed.time.micros, pytzUtc) : parsed
  const format = strOf(formatArg)
  if (format === undefined) {
    if (formatArg instanceof PyUndefined || Array.isArray(formatArg) || formatArg instanceof PyDict) {
      throw typeError(`strftime() argument 1 must be str, not ${typeName(formatArg)}`)
    }
    throw typeError(`argument of type '${typeName(formatArg)}' is not iterable`)
  }
  return formatCdk(aware, format)
}

const fromTimestampChecked = (seconds: number | bigint): PyDateTime => fromTimestamp(Number(seconds), utc)

const zoneFormats = new Map<string, Intl.DateTimeFormat>()

const zoneFormat = (name: string): Intl.DateTimeFormat => {
  const known = zoneFormats.get(name)
  if (known !== undefined) return known
  try {
    const made = new Intl.DateTimeFormat("en-US", {
      timeZone: name,
      calendar: "gregory",
      numberingSystem: "latn",
      era: "short",
      year: "numeric",
      month: "numeric",
      day: "numeric"
    })
    zoneFormats.set(name, made)
    return made
  } catch {
    throw new PyError("UnknownTimeZoneError", repr(name))
  }
}

const todayIn: Call = (args, kwargs) => {
  const [zone = null] = bind("today_with_timezone", ["timezone"], 1, args, kwargs)
  const name = strOf(zone)
  if (zone instanceof PyUndefined) throw zone.error()
  if (name === undefined) {
    if (zone === null) throw new PyError("UnknownTimeZoneError", "None")
    throw new PyError("AttributeError", `'${typeName(zone)}' object has no attribute 'upper'`)
  }
  // An offset is not a zone's name.
  if (!/^[A-Za-z]/.test(name)) throw new PyError("UnknownTimeZoneError", repr(name))
  const parts = new Map(
    zoneFormat(name)
      .formatToParts(Math.floor(nowMicros() / 1000))
      .map((part) => [part.type, part.value])
  )
  return PyDate.of(Number(parts.get("year")), Number(parts.get("month")), Number(parts.get("day")))
}

/** `cycler(…)`: goes round its items. */
class PyCycler extends PyAttributes {
  readonly type = "Cycler"
  private readonly items: ReadonlyArray<Value>
  private position = 0
  constructor(items: ReadonlyArray<Value>) {
    super()
    this.items = items
  }
  attribute(name: string): Value | undefined {
    switch (name) {
      case "current":
        return this.items[this.position] ?? null
      case "next":
        return new PyCallable(name, () => {
          const item = this.items[this.position] ?? null
          this.position = (this.position + 1) % this.items.length
          return item
        })
      case "reset":
        return new PyCallable(name, () => {
          this.position = 0
          return null
        })
      default:
        return undefined
    }
  }
  repr(): string {
    return "<jinja2.utils.Cycler object>"
  }
}

const joiner: Call = (args, kwargs) => {
  const [separator = ", "] = bind("joiner", ["sep"], 0, args, kwargs)
  let used = false
  return new PyCallable(
    "joiner",
    () => {
      if (used) return separator
      used = true
      return ""
    },
    "Joiner"
  )
}

const functions: { readonly [name: string]: Call } = {
  now_utc: (args, kwargs) => {
    bind("now_utc", [], 0, args, kwargs)
    return now()
  },
  today_utc: (args, kwargs) => {
    bind("today_utc", [], 0, args, kwargs)
    return new PyDate(now().days)
  },
  today_with_timezone: todayIn,
  timestamp,
  max: extreme("max"),
  min: extreme("min"),
  day_delta: dayDelta,
  duration: (args, kwargs) => parseDuration(bind("duration", ["datestring"], 1, args, kwargs)[0] ?? null),
  format_datetime: formatDateTime,
  str_to_datetime: (args, kwargs) => strToDateTime(bind("str_to_datetime", ["s"], 1, args, kwargs)[0] ?? null),
  sanitize_url: (args, kwargs) => {
    const [value = null] = bind("sanitize_url", ["value"], 1, args, kwargs)
    const text = strOf(value)
    if (text === undefined) {
      throw typeError("quote_from_bytes() expected bytes")
    }
    return quote(text, " ").replaceAll("%20", "+").replaceAll(" ", "+")
  },
  camel_case_to_snake_case: (args, kwargs) => {
    const [value = null] = bind("camel_case_to_snake_case", ["value"], 1, args, kwargs)
    const text = strOf(value)
    if (text === undefined) throw typeError(`expected string or bytes-like object, got '${typeName(value)}'`)
    return text.replace(/(?<!^)(?=[A-Z])/g, "_").toLowerCase()
  },
  generate_uuid: (args, kwargs) => {
    bind("generate_uuid", [], 0, args, kwargs)
    return newUuid()
  },
  dict: (args, kwargs) => {
    const dict = new PyDict()
    update(dict, args, kwargs)
    return dict
  },
  namespace: (args, kwargs) => {
    const dict = new PyDict()
    update(dict, args, kwargs)
    return new PyNamespace(new Map([...dict.entries.values()].map(([key, value]) => [strOf(key) ?? repr(key), value])))
  },
  cycler: (args, kwargs) => {
    positional("cycler", args, kwargs, 0, Infinity)
    if (args.length === 0) throw new PyError("RuntimeError", "at least one item has to be provided")
    return new PyCycler(args)
  },
  joiner
}

/** The functions every expression may call: the CDK's macros, and those of Jinja that it leaves. */
export const globals: ReadonlyMap<string, Value> = new Map(
  Object.entries(functions).map(([name, call]) => [name, new PyCallable(name, call, "function")])
)
