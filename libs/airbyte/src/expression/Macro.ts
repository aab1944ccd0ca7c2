import { typeError } from "./PyError.ts"
import { PyDict } from "./Dict.ts"
import { orElse, PyAttributes, PyCallable, PyTuple, PyUndefined, type Kwargs, type Value } from "./Value.ts"

/** Which of the special variables the body of a macro reads. */
export interface Specials {
  readonly caller: boolean
  readonly kwargs: boolean
  readonly varargs: boolean
}

type Invoke = (args: ReadonlyArray<Value | undefined>, special: ReadonlyArray<Value | undefined>) => Value

/** A macro defined by a template. */
export class PyMacro extends PyAttributes {
  readonly type = "Macro"
  readonly name: string | undefined
  private readonly params: ReadonlyArray<string>
  private readonly specials: Specials
  private readonly invoke: Invoke

  constructor(name: string | undefined, params: ReadonlyArray<string>, specials: Specials, invoke: Invoke) {
    super()
    this.name = name
    this.params = params
    this.specials = specials
    this.invoke = invoke
  }

  private run(args: ReadonlyArray<Value>, kwargs: Kwargs): Value {
    const rest = new Map(kwargs)
    let foundCaller = false
    const values = this.params.map((param, index) => {
      if (index < args.length) {
        return args[index]
      }
      if (param === "caller") foundCaller = true
      const value = rest.get(param)
      rest.delete(param)
      return value
    })
    let caller: Value | undefined
    if (this.specials.caller && !foundCaller) {
      caller = orElse(rest.get("caller"), () => new PyUndefined("No caller defined"))
      rest.delete("caller")
    }
    if (rest.size > 0 && !this.specials.kwargs) {
      throw typeError(`macro '${this.name}' takes no keyword argument '${[...rest.keys()][0]}'`)
    }
    if (args.length > this.params.length && !this.specials.varargs) {
      throw typeError(`macro '${this.name}' takes not more than ${this.params.length} argument(s)`)
    }
    return this.invoke(values, [caller, PyDict.of(rest), new PyTuple(args.slice(this.params.length))])
  }

  attribute(name: string): Value | undefined {
    switch (name) {
      case "__call__":
        return new PyCallable(this.name ?? "caller", (args, kwargs) => this.run(args, kwargs))
      case "name":
        return this.name ?? null
      case "arguments":
        return new PyTuple(this.params)
      case "catch_kwargs":
        return this.specials.kwargs
      case "catch_varargs":
        return this.specials.varargs
      case "caller":
        return this.specials.caller
      default:
        return undefined
    }
  }

  repr(): string {
    return `<Macro ${this.name === undefined ? "anonymous" : `'${this.name}'`}>`
  }
}
