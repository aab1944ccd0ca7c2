import { bind, type Arguments, type Method, type Methods, positional, wantIndex, wantStr } from "./Arguments.ts"
import * as Calendar from "./Calendar.ts"
import {
  checkedDays,
  checkedMicros,
  fromTimestamp,
  isoTime,
  pad,
  PyDate,
  PyDateTime,
  PyTime,
  PyTimeDelta,
  PyZone,
  utc,
  formatOffset
} from "./DateTime.ts"
import { fromIsoFormat } from "./FromIsoFormat.ts"
import { toFloat } from "./Numbers.ts"
import { typeError, valueError } from "./PyError.ts"
import { nowMicros } from "./Ports.ts"
import { strftime } from "./Strftime.ts"
import { strptime } from "./Strptime.ts"
import { float, floatOf, intOf, PyTuple, typeName, type Kwargs, type Value } from "./Value.ts"

const none = (name: string, apply: (self: PyDate) => Value): Method<PyDate> => {
  return (self, args, kwargs) => {
    positional(name, args, kwargs, 0, 0)
    return apply(self)
  }
}

const int = (value: Value | undefined, fallback: number): number => (value === undefined ? fallback : wantIndex(value))

const structNames = [
  "tm_year",
  "tm_mon",
  "tm_mday",
  "tm_hour",
  "tm_min",
  "tm_sec",
  "tm_wday",
  "tm_yday",
  "tm_isdst"
] as const

const struct = (date: PyDate, dst: number): PyTuple => {
  const { year, month, day } = date.civil
  const time = date instanceof PyDateTime ? date.time : new PyTime(0)
  const yearDay = date.days - Calendar.daysFromCivil(year, 1, 1) + 1
  const items = [year, month, day, time.hour, time.minute, time.second, Calendar.weekday(date.days), yearDay, dst]
  return new PyTuple(items, "time.struct_time", structNames)
}

const ctime = (date: PyDate): string => strftime(date, "%a %b %e %H:%M:%S ") + pad(date.civil.year, 4)

const seconds = (value: Value | undefined): number => {
  const real = value === undefined ? undefined : floatOf(value)
  if (real !== undefined) return real
  const whole = value === undefined ? undefined : intOf(value)
  if (whole === undefined)
    throw typeError(`'${value === undefined ? "missing" : typeName(value)}' object cannot be interpreted as an integer`)
  return toFloat(whole)
}

const zoneOf = (value: Value | undefined): PyZone | undefined => {
  if (value === undefined || value === null) return undefined
  if (!(value instanceof PyZone))
    throw typeError(`tzinfo argument must be None or of a tzinfo subclass, not type '${typeName(value)}'`)
  return value
}

const isDateTime = (self: PyDate): boolean => self instanceof PyDateTime

const replaceDate: Method<PyDate> = (self, args, kwargs) => {
  const { year, month, day } = self.civil
  if (!(self instanceof PyDateTime)) {
    const [y, m, d] = bind("replace", ["year", "month", "day"], 0, args, kwargs)
    return PyDate.of(int(y, year), int(m, month), int(d, day))
  }
  const params = ["year", "month", "day", "hour", "minute", "second", "microsecond", "tzinfo", "fold"]
  const [y, m, d, h, min, s, us, zone] = bind("replace", params, 0, args, kwargs)
  const { time } = self
  return new PyDateTime(
    checkedDays(int(y, year), int(m, month), int(d, day)),
    checkedMicros(int(h, time.hour), int(min, time.minute), int(s, time.second), int(us, time.microsecond)),
    zone === undefined ? self.zone : zoneOf(zone)
  )
}

const fromStamp: Method<PyDate> = (self, args, kwargs) => {
  if (!isDateTime(self)) {
    const [stamp] = positional("fromtimestamp", args, kwargs, 1, 1)
    return new PyDate(fromTimestamp(seconds(stamp), undefined).days)
  }
  const [stamp, zone] = bind("fromtimestamp", ["timestamp", "tz"], 1, args, kwargs)
  return fromTimestamp(seconds(stamp), zoneOf(zone))
}

const now = (zone: PyZone | undefined): PyDateTime =>
  zone === undefined ? PyDateTime.fromWall(BigInt(nowMicros())) : PyDateTime.fromEpoch(BigInt(nowMicros()), zone)

/** Methods of a date, of which a datetime is a kind. */
const dateMethods: Methods<PyDate> = {
  ctime: none("ctime", ctime),
  fromisocalendar: (self, args, kwargs) => {
    const [year, week, day] = bind("fromisocalendar", ["year", "week", "day"], 3, args, kwargs).map((arg) =>
      int(arg, 0)
    )
    if (year === undefined || week === undefined || day === undefined)
      throw typeError("fromisocalendar() missing arguments")
    if (year < 1 || year > 9999) throw valueError(`Year is out of range: ${year}`)
    const start = Calendar.isoWeekStart(year)
    const weeks = (Calendar.isoWeekStart(year + 1) - start) / 7
    if (week < 1 || week > weeks) throw valueError(`Invalid week: ${week}`)
    if (day < 1 || day > 7) throw valueError(`Invalid weekday: ${day} (range is [1, 7])`)
    const days = start + (week - 1) * 7 + day - 1
    return isDateTime(self) ? new PyDateTime(days, 0) : new PyDate(days)
  },
  fromisoformat: (self, args, kwargs) => {
    const [text = null] = positional("fromisoformat", args, kwargs, 1, 1)
    if (typeof text !== "string") throw typeError("fromisoformat: argument must be str")
    return fromIsoFormat(text, isDateTime(self))
  },
  fromordinal: (self, args, kwargs) => {
    const ordinal = wantIndex(positional("fromordinal", args, kwargs, 1, 1)[0] ?? null)
    if (ordinal < 1) throw valueError("ordinal must be >= 1")
    const days = ordinal - 719_163
    if (days > Calendar.maxDays) throw valueError("year is out of range")
    return isDateTime(self) ? new PyDateTime(days, 0) : new PyDate(days)
  },
  fromtimestamp: fromStamp,
  isocalendar: none("isocalendar", (self) => {
    const { year, week, day } = Calendar.isoWeek(self.days)
    return new PyTuple([year, week, day], "datetime.IsoCalendarDate", ["year", "week", "weekday"])
  }),
  isoformat: (self, args, kwargs) => {
    if (!(self instanceof PyDateTime)) {
      positional("isoformat", args, kwargs, 0, 0)
      return self.isoDate()
    }
    const [separator, spec] = bind("isoformat", ["sep", "timespec"], 0, args, kwargs)
    const sep = separator === undefined ? "T" : wantStr(separator, "isoformat() argument 1")
    if ([...sep].length !== 1) throw typeError("isoformat() argument 1 must be a unicode character, not str")
    return self.iso(sep, spec === undefined ? "auto" : wantStr(spec, "isoformat() argument 2"))
  },
  isoweekday: none("isoweekday", (self) => Calendar.weekday(self.days) + 1),
  replace: replaceDate,
  strftime: (self, args, kwargs) => {
    const [format = null] = bind("strftime", ["format"], 1, args, kwargs)
    return strftime(self, wantStr(format, "strftime() argument 1"))
  },
  timetuple: none("timetuple", (self) =>
    struct(self, self instanceof PyDateTime && self.zone?.type === "UTC" ? 0 : -1)
  ),
  today: (self, args, kwargs) => {
    positional("today", args, kwargs, 0, 0)
    const today = now(undefined)
    return isDateTime(self) ? today : new PyDate(today.days)
  },
  toordinal: none("toordinal", (self) => self.days + 719_163),
  weekday: none("weekday", (self) => Calendar.weekday(self.days))
}

const asDateTime = (self: PyDate): PyDateTime => (self instanceof PyDateTime ? self : new PyDateTime(self.days, 0))

const dateTimeOnly: Methods<PyDate> = {
  astimezone: (self, args, kwargs) => {
    const [zone] = bind("astimezone", ["tz"], 0, args, kwargs)
    return asDateTime(self).inZone(zoneOf(zone) ?? utc)
  },
  combine: (_, args, kwargs) => {
    const [date = null, time = null, zone] = bind("combine", ["date", "time", "tzinfo"], 2, args, kwargs)
    if (!(date instanceof PyDate) || !(time instanceof PyTime)) throw typeError("combine() wants a date and a time")
    return new PyDateTime(date.days, time.micros, zone === undefined ? time.zone : zoneOf(zone))
  },
  date: none("date", (self) => new PyDate(self.days)),
  dst: none("dst", (self) => (asDateTime(self).zone?.type === "UTC" ? new PyTimeDelta(0n) : null)),
  now: (_, args, kwargs) => now(zoneOf(bind("now", ["tz"], 0, args, kwargs)[0])),
  strptime: (_, args, kwargs) => {
    positional("strptime", args, kwargs, 2, 2)
    return strptime(wantStr(args[0], "strptime() argument 1"), wantStr(args[1], "strptime() argument 2"))
  },
  time: none("time", (self) => new PyTime(asDateTime(self).time.micros)),
  timestamp: none("timestamp", (self) => float(asDateTime(self).timestamp())),
  timetz: none("timetz", (self) => new PyTime(asDateTime(self).time.micros, asDateTime(self).zone)),
  tzname: none("tzname", (self) => asDateTime(self).zone?.name ?? null),
  utcfromtimestamp: (_, args, kwargs) =>
    fromTimestamp(seconds(positional("utcfromtimestamp", args, kwargs, 1, 1)[0]), undefined),
  utcnow: (_, args, kwargs) => {
    positional("utcnow", args, kwargs, 0, 0)
    return now(undefined)
  },
  utcoffset: none("utcoffset", (self) => {
    const { zone } = asDateTime(self)
    return zone === undefined ? null : new PyTimeDelta(BigInt(zone.offset))
  }),
  utctimetuple: none("utctimetuple", (self) => struct(asDateTime(self).inZone(utc), 0))
}

const dateTimeMethods: Methods<PyDate> = { ...dateMethods, ...dateTimeOnly }

export const dateMethod = (self: PyDate, name: string): Method<PyDate> | undefined => {
  const methods = self instanceof PyDateTime ? dateTimeMethods : dateMethods
  return Object.hasOwn(methods, name) ? methods[name] : undefined
}

/** Data attributes of a date or datetime. */
export const dateAttribute = (self: PyDate, name: string): Value | undefined => {
  switch (name) {
    case "year":
      return self.civil.year
    case "month":
      return self.civil.month
    case "day":
      return self.civil.day
    case "min":
      return isDateTime(self) ? new PyDateTime(Calendar.minDays, 0) : new PyDate(Calendar.minDays)
    case "max":
      return isDateTime(self) ? new PyDateTime(Calendar.maxDays, 86_399_999_999) : new PyDate(Calendar.maxDays)
    case "resolution":
      return new PyTimeDelta(isDateTime(self) ? 1n : 86_400_000_000n)
    default:
  }
  if (!(self instanceof PyDateTime)) return undefined
  return name === "tzinfo" ? (self.zone ?? null) : clockAttribute(self.time, name)
}

const clockAttribute = (time: PyTime, name: string): Value | undefined => {
  switch (name) {
    case "hour":
      return time.hour
    case "minute":
      return time.minute
    case "second":
      return time.second
    case "microsecond":
      return time.microsecond
    case "fold":
      return 0
    default:
      return undefined
  }
}

export const timeAttribute = (self: PyTime, name: string): Value | undefined => {
  switch (name) {
    case "tzinfo":
      return self.zone ?? null
    case "min":
      return new PyTime(0)
    case "max":
      return new PyTime(86_399_999_999)
    case "resolution":
      return new PyTimeDelta(1n)
    default:
      return clockAttribute(self, name)
  }
}

export const timeMethods: Methods<PyTime> = {
  isoformat: (self, args, kwargs) => {
    const [spec] = bind("isoformat", ["timespec"], 0, args, kwargs)
    const zone = self.zone === undefined ? "" : formatOffset(self.zone.offset, ":")
    return isoTime(self, spec === undefined ? "auto" : wantStr(spec, "isoformat() argument 1")) + zone
  },
  replace: (self, args, kwargs) => {
    const params = ["hour", "minute", "second", "microsecond", "tzinfo", "fold"]
    const [h, m, s, us, zone] = bind("replace", params, 0, args, kwargs)
    const micros = checkedMicros(int(h, self.hour), int(m, self.minute), int(s, self.second), int(us, self.microsecond))
    return new PyTime(micros, zone === undefined ? self.zone : zoneOf(zone))
  },
  strftime: (self, args, kwargs) => {
    const [format = null] = bind("strftime", ["format"], 1, args, kwargs)
    return strftime(self, wantStr(format, "strftime() argument 1"))
  }
}

export const deltaMethods: Methods<PyTimeDelta> = {
  total_seconds: (self: PyTimeDelta, args: Arguments, kwargs: Kwargs) => {
    positional("total_seconds", args, kwargs, 0, 0)
    return float(self.totalSeconds())
  }
}

export const deltaAttribute = (self: PyTimeDelta, name: string): Value | undefined => {
  switch (name) {
    case "days":
      return self.days
    case "seconds":
      return self.seconds
    case "microseconds":
      return self.microseconds
    case "min":
      return new PyTimeDelta(-999_999_999n * 86_400_000_000n)
    case "max":
      return new PyTimeDelta(1_000_000_000n * 86_400_000_000n - 1n)
    case "resolution":
      return new PyTimeDelta(1n)
    default:
      return undefined
  }
}

export const zoneMethods: Methods<PyZone> = {
  tzname: (self) => self.name,
  utcoffset: (self) => new PyTimeDelta(BigInt(self.offset)),
  dst: (self) => (self.type === "UTC" ? new PyTimeDelta(0n) : null)
}
