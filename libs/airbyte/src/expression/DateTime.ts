import * as Calendar from "./Calendar.ts"
import { PyHashable } from "./Dict.ts"
import { divideInts, fraction } from "./Numbers.ts"
import { PyError, valueError } from "./PyError.ts"

const dayMicros = 86_400_000_000
const dayMicrosBig = 86_400_000_000n

const outOfRange = (): PyError => new PyError("OverflowError", "date value out of range")

export const pad = (value: number, width = 2): string => String(value).padStart(width, "0")

/** A duration, exact to the microsecond. */
export class PyTimeDelta extends PyHashable {
  readonly type = "datetime.timedelta"
  readonly micros: bigint
  constructor(micros: bigint) {
    super()
    if (micros < -999_999_999n * dayMicrosBig || micros >= 1_000_000_000n * dayMicrosBig) {
      throw new PyError("OverflowError", `days=${micros / dayMicrosBig}; must have magnitude <= 999999999`)
    }
    this.micros = micros
  }
  hashKey(): string {
    return `\0timedelta${this.micros}`
  }
  get days(): number {
    const rest = ((this.micros % dayMicrosBig) + dayMicrosBig) % dayMicrosBig
    return Number((this.micros - rest) / dayMicrosBig)
  }
  /** The part below a day. */
  private get rest(): number {
    return Number(((this.micros % dayMicrosBig) + dayMicrosBig) % dayMicrosBig)
  }
  get seconds(): number {
    return Math.floor(this.rest / 1_000_000)
  }
  get microseconds(): number {
    return this.rest % 1_000_000
  }
  totalSeconds(): number {
    return divideInts(this.micros, 1_000_000)
  }
  str(): string {
    const { days, seconds, microseconds } = this
    const time = `${Math.floor(seconds / 3600)}:${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}`
    const tail = microseconds === 0 ? "" : `.${pad(microseconds, 6)}`
    return `${days === 0 ? "" : `${days} day${Math.abs(days) === 1 ? "" : "s"}, `}${time}${tail}`
  }
  repr(): string {
    const parts: Array<string> = []
    if (this.days !== 0) parts.push(`days=${this.days}`)
    if (this.seconds !== 0) parts.push(`seconds=${this.seconds}`)
    if (this.microseconds !== 0) parts.push(`microseconds=${this.microseconds}`)
    return `datetime.timedelta(${parts.length === 0 ? "0" : parts.join(", ")})`
  }
}

/** A division rounded half to even. */
export const roundedDivision = (numerator: bigint, denominator: bigint): bigint => {
  let n = numerator
  let d = denominator
  if (d < 0n) {
    n = -n
    d = -d
  }
  let quotient = n / d
  let rest = n % d
  if (rest < 0n) {
    quotient -= 1n
    rest += d
  }
  return rest * 2n > d || (rest * 2n === d && quotient % 2n !== 0n) ? quotient + 1n : quotient
}

/** timedelta * float and timedelta / float. */
export const scaleDelta = (delta: PyTimeDelta, factor: number, divide: boolean): PyTimeDelta => {
  if (!Number.isFinite(factor)) throw valueError("cannot convert float infinity or NaN to integer ratio")
  if (divide && factor === 0) throw new PyError("ZeroDivisionError", "division by zero")
  const { numerator, shift } = fraction(factor)
  const unit = 1n << BigInt(shift)
  return new PyTimeDelta(
    divide ? roundedDivision(delta.micros * unit, numerator) : roundedDivision(delta.micros * numerator, unit)
  )
}

/** timedelta(weeks=…, days=…, …) with fractions, as CPython adds them up. `parts` are pairs of value and microseconds per unit. */
export const deltaOf = (parts: ReadonlyArray<readonly [value: number | bigint, unit: number]>): PyTimeDelta => {
  let micros = 0n
  let leftover = 0
  for (const [value, unit] of parts) {
    if (typeof value === "bigint") {
      micros += value * BigInt(unit)
      continue
    }
    if (!Number.isFinite(value)) throw valueError("cannot convert float infinity or NaN to integer")
    const whole = Math.trunc(value)
    micros += BigInt(whole) * BigInt(unit)
    const rest = (value - whole) * unit
    micros += BigInt(Math.trunc(rest))
    leftover += rest - Math.trunc(rest)
  }
  let rounded = Math.sign(leftover) * Math.floor(Math.abs(leftover) + 0.5)
  if (Math.abs(rounded - leftover) === 0.5 && (micros + BigInt(rounded)) % 2n !== 0n) rounded -= Math.sign(leftover)
  return new PyTimeDelta(micros + BigInt(rounded))
}

/** A time zone with one offset. */
export class PyZone extends PyHashable {
  readonly type: string
  /** Microseconds east of Greenwich. */
  readonly offset: number
  readonly name: string
  readonly text: string
  constructor(offset: number, name: string, repr: string, type = "datetime.timezone") {
    super()
    this.offset = offset
    this.name = name
    this.text = repr
    this.type = type
  }
  hashKey(): string {
    return `\0zone${this.offset}${this.type}`
  }
}

export const utc = new PyZone(0, "UTC", "datetime.timezone.utc")
/** The zone the CDK's string parser answers with. */
export const pytzUtc = new PyZone(0, "UTC", "<UTC>", "UTC")

/** `+02:00`, with seconds when there are any. */
export const formatOffset = (offset: number, separator: string): string => {
  const magnitude = Math.abs(offset)
  const seconds = Math.floor(magnitude / 1_000_000)
  const micros = magnitude % 1_000_000
  const tail = micros === 0 ? "" : `.${pad(micros, 6)}`
  const low = seconds % 60 === 0 && micros === 0 ? "" : `${separator}${pad(seconds % 60)}${tail}`
  return `${offset < 0 ? "-" : "+"}${pad(Math.floor(seconds / 3600))}${separator}${pad(Math.floor(seconds / 60) % 60)}${low}`
}

export const fixedZone = (offset: number, name?: string): PyZone => {
  if (name === undefined && offset === 0) return utc
  if (Math.abs(offset) >= dayMicros) {
    throw valueError("offset must be a timedelta strictly between -timedelta(hours=24) and timedelta(hours=24)")
  }
  const delta = new PyTimeDelta(BigInt(offset)).repr()
  return new PyZone(
    offset,
    name ?? `UTC${formatOffset(offset, ":")}`,
    `datetime.timezone(${delta}${name === undefined ? "" : `, '${name}'`})`
  )
}

export class PyDate extends PyHashable {
  readonly type: string = "datetime.date"
  /** Days since 1970-01-01. */
  readonly days: number
  private known: Calendar.CivilDate | undefined
  constructor(days: number) {
    super()
    if (!(days >= Calendar.minDays && days <= Calendar.maxDays)) throw outOfRange()
    this.days = days
  }
  static of(year: number, month: number, day: number): PyDate {
    return new PyDate(checkedDays(year, month, day))
  }
  get civil(): Calendar.CivilDate {
    this.known ??= Calendar.civilFromDays(this.days)
    return this.known
  }
  hashKey(): string {
    return `\0date${this.days}`
  }
  isoDate(): string {
    const { year, month, day } = this.civil
    return `${pad(year, 4)}-${pad(month)}-${pad(day)}`
  }
  str(): string {
    return this.isoDate()
  }
  repr(): string {
    const { year, month, day } = this.civil
    return `datetime.date(${year}, ${month}, ${day})`
  }
}

export const checkedDays = (year: number, month: number, day: number): number => {
  if (!(year >= 1 && year <= 9999)) throw valueError(`year ${year} is out of range`)
  if (!(month >= 1 && month <= 12)) throw valueError("month must be in 1..12")
  if (!(day >= 1 && day <= Calendar.daysInMonth(year, month))) throw valueError("day is out of range for month")
  return Calendar.daysFromCivil(year, month, day)
}

export const checkedMicros = (hour: number, minute: number, second: number, microsecond: number): number => {
  if (!(hour >= 0 && hour <= 23)) throw valueError("hour must be in 0..23")
  if (!(minute >= 0 && minute <= 59)) throw valueError("minute must be in 0..59")
  if (!(second >= 0 && second <= 59)) throw valueError("second must be in 0..59")
  if (!(microsecond >= 0 && microsecond <= 999_999)) throw valueError("microsecond must be in 0..999999")
  return ((hour * 60 + minute) * 60 + second) * 1_000_000 + microsecond
}

/** A time of day. */
export class PyTime extends PyHashable {
  readonly type = "datetime.time"
  readonly micros: number
  readonly zone: PyZone | undefined
  constructor(micros: number, zone?: PyZone) {
    super()
    this.micros = micros
    this.zone = zone
  }
  get hour(): number {
    return Math.floor(this.micros / 3_600_000_000)
  }
  get minute(): number {
    return Math.floor(this.micros / 60_000_000) % 60
  }
  get second(): number {
    return Math.floor(this.micros / 1_000_000) % 60
  }
  get microsecond(): number {
    return this.micros % 1_000_000
  }
  hashKey(): string {
    return `\0time${this.micros},${this.zone?.offset}`
  }
  str(): string {
    return isoTime(this, "auto") + (this.zone === undefined ? "" : formatOffset(this.zone.offset, ":"))
  }
  repr(): string {
    return `datetime.time(${timeParts(this).join(", ")}${this.zone === undefined ? "" : `, tzinfo=${this.zone.text}`})`
  }
}

const timeParts = (time: PyTime): ReadonlyArray<number> => {
  const parts = [time.hour, time.minute]
  if (time.second !== 0 || time.microsecond !== 0) parts.push(time.second)
  if (time.microsecond !== 0) parts.push(time.microsecond)
  return parts
}

export const isoTime = (time: PyTime, precision: string): string => {
  const spec = precision === "auto" ? (time.microsecond === 0 ? "seconds" : "microseconds") : precision
  const hours = pad(time.hour)
  const minutes = `${hours}:${pad(time.minute)}`
  const seconds = `${minutes}:${pad(time.second)}`
  switch (spec) {
    case "hours":
      return hours
    case "minutes":
      return minutes
    case "seconds":
      return seconds
    case "milliseconds":
      return `${seconds}.${pad(Math.floor(time.microsecond / 1000), 3)}`
    case "microseconds":
      return `${seconds}.${pad(time.microsecond, 6)}`
    default:
      throw valueError("Unknown timespec value")
  }
}

/** A date and time of day, naive or with a time zone. */
export class PyDateTime extends PyDate {
  override readonly type = "datetime.datetime"
  readonly time: PyTime
  readonly zone: PyZone | undefined
  constructor(days: number, micros: number, zone?: PyZone) {
    super(days)
    this.time = new PyTime(micros)
    this.zone = zone
  }
  /** Microseconds of the wall clock since 1970-01-01, whatever the zone. */
  get wallMicros(): bigint {
    return BigInt(this.days) * dayMicrosBig + BigInt(this.time.micros)
  }
  /** Microseconds since the epoch; a naive time is taken as UTC. */
  get epochMicros(): bigint {
    return this.wallMicros - BigInt(this.zone?.offset ?? 0)
  }
  override hashKey(): string {
    return this.zone === undefined ? `\0naive${this.wallMicros}` : `\0datetime${this.epochMicros}`
  }
  static fromWall(micros: bigint, zone?: PyZone): PyDateTime {
    const rest = ((micros % dayMicrosBig) + dayMicrosBig) % dayMicrosBig
    return new PyDateTime(Number((micros - rest) / dayMicrosBig), Number(rest), zone)
  }
  static fromEpoch(micros: bigint, zone: PyZone): PyDateTime {
    return PyDateTime.fromWall(micros + BigInt(zone.offset), zone)
  }
  inZone(zone: PyZone): PyDateTime {
    return zone === this.zone ? this : PyDateTime.fromEpoch(this.epochMicros, zone)
  }
  timestamp(): number {
    if (this.zone !== undefined) return divideInts(this.epochMicros, 1_000_000)
    return this.days * 86_400 + Math.floor(this.time.micros / 1_000_000) + this.time.microsecond / 1e6
  }
  iso(separator: string, precision: string): string {
    const zone = this.zone === undefined ? "" : formatOffset(this.zone.offset, ":")
    return `${this.isoDate()}${separator}${isoTime(this.time, precision)}${zone}`
  }
  override str(): string {
    return this.iso(" ", "auto")
  }
  override repr(): string {
    const { year, month, day } = this.civil
    const zone = this.zone === undefined ? "" : `, tzinfo=${this.zone.text}`
    return `datetime.datetime(${[year, month, day, ...timeParts(this.time)].join(", ")}${zone})`
  }
}

/** datetime.fromtimestamp(): seconds, rounded half to even microseconds. */
export const fromTimestamp = (seconds: number, zone: PyZone | undefined): PyDateTime => {
  if (!Number.isFinite(seconds)) throw valueError("cannot convert float NaN or infinity to integer")
  const whole = Math.floor(seconds)
  const micros = (seconds - Math.trunc(seconds)) * 1e6
  const floor = Math.floor(micros)
  const rest = micros - floor
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor
  if (Math.abs(whole) >= 2 ** 63) throw new PyError("OverflowError", "timestamp out of range for platform time_t")
  if (Math.abs(whole) > 1e15) throw valueError(`year is out of range`)
  const epoch = BigInt(Math.trunc(seconds)) * 1_000_000n + BigInt(rounded)
  const days = Number(epoch / dayMicrosBig)
  if (days < Calendar.minDays - 1 || days > Calendar.maxDays + 1) {
    throw valueError(`year ${Calendar.civilFromDays(days).year} is out of range`)
  }
  return zone === undefined ? PyDateTime.fromWall(epoch) : PyDateTime.fromEpoch(epoch, zone)
}
