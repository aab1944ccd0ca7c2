import { equals } from "./Compare.ts"
import { iterate, sizeOf } from "./Iterate.ts"
import { tick } from "./Meter.ts"
import { typeError } from "./PyError.ts"
import { PyAttributes, PyCallable, PyTuple, PyUndefined, type Value } from "./Value.ts"

/** The variable `loop`, which also runs the loop, so that it can look ahead. */
export class PyLoop extends PyAttributes {
  readonly type = "LoopContext"
  private readonly iterable: Value
  private iterator: Iterator<Value>
  private readonly recurse: ((items: Value, depth: number) => Value) | undefined
  private readonly depth0: number
  private index0 = -1
  private size: number | undefined
  private after: { readonly value: Value } | "end" | undefined
  private before: Value | undefined
  private current: Value | undefined
  private changedValue: Value | undefined

  constructor(iterable: Value, depth0: number, recurse: ((items: Value, depth: number) => Value) | undefined) {
    super()
    this.iterable = iterable
    this.iterator = iterate(iterable)[Symbol.iterator]()
    this.depth0 = depth0
    this.recurse = recurse
  }

  /** Moves to the next item, or answers undefined at the end. */
  advance(): Value | undefined {
    tick()
    let value: Value
    if (this.after !== undefined) {
      if (this.after === "end") {
        // The item looked for before was not there, but the list may have grown.
        this.after = undefined
        const next = this.iterator.next()
        if (next.done === true) return undefined
        value = next.value
      } else {
        value = this.after.value
        this.after = undefined
      }
    } else {
      const next = this.iterator.next()
      if (next.done === true) return undefined
      value = next.value
    }
    this.index0++
    this.before = this.current
    this.current = value
    return value
  }

  private peek(): { readonly value: Value } | "end" {
    if (this.after === undefined) {
      const next = this.iterator.next()
      this.after = next.done === true ? "end" : { value: next.value }
    }
    return this.after
  }

  private get length(): number {
    if (this.size !== undefined) return this.size
    const known = sizeOf(this.iterable)
    if (known !== undefined) return (this.size = known)
    const rest: Array<Value> = []
    for (let next = this.iterator.next(); next.done !== true; next = this.iterator.next()) {
      tick()
      rest.push(next.value)
    }
    this.iterator = rest[Symbol.iterator]()
    const peeked = this.after !== undefined && this.after !== "end" ? 1 : 0
    return (this.size = rest.length + this.index0 + 1 + peeked)
  }

  attribute(name: string): Value | undefined {
    switch (name) {
      case "index":
        return this.index0 + 1
      case "index0":
        return this.index0
      case "length":
      case "__len__":
        return this.length
      case "revindex":
        return this.length - this.index0
      case "revindex0":
        return this.length - this.index0 - 1
      case "first":
        return this.index0 === 0
      case "last":
        return this.peek() === "end"
      case "depth":
        return this.depth0 + 1
      case "depth0":
        return this.depth0
      case "previtem":
        return this.index0 === 0 ? new PyUndefined("there is no previous item") : this.before
      case "nextitem": {
        const next = this.peek()
        return next === "end" ? new PyUndefined("there is no next item") : next.value
      }
      case "cycle":
        return new PyCallable(name, (args) => {
          const item = args[this.index0 % args.length]
          if (item === undefined) throw typeError("no items for cycling given")
          return item
        })
      case "changed":
        return new PyCallable(name, (args) => {
          const value = new PyTuple(args)
          if (this.changedValue !== undefined && equals(this.changedValue, value)) return false
          this.changedValue = value
          return true
        })
      case "__call__":
        return new PyCallable(name, (args) => {
          const [items] = args
          if (args.length !== 1 || items === undefined) throw typeError("loop() takes one argument")
          if (this.recurse === undefined) {
            throw typeError("The loop must have the 'recursive' marker to be called recursively.")
          }
          return this.recurse(items, this.depth0 + 1)
        })
      default:
        return undefined
    }
  }

  repr(): string {
    return `<LoopContext ${this.index0 + 1}/${this.length}>`
  }
}
