import { truthy } from "../expression/Compare.ts"
import { floatOf, isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import { ManifestError } from "../manifest/ManifestError.ts"

/** A component of a checked manifest: its settings, and the parameters handed down to it. */
export class Component {
  readonly data: PlainDict
  /** Where it stands in the manifest. */
  readonly path: string
  constructor(data: PlainDict, path: string) {
    this.data = data
    this.path = path
  }

  get type(): string {
    return this.optionalText("type") ?? ""
  }

  /** What `parameters` is in its expressions. */
  get parameters(): PlainDict {
    const given = this.get("$parameters")
    return given !== undefined && isPlainDict(given) ? given : {}
  }

  /** A setting's value; undefined when it is not given, or given as nothing. */
  get(name: string): Value | undefined {
    const value = Object.hasOwn(this.data, name) ? this.data[name] : undefined
    return value === null ? undefined : value
  }

  has(name: string): boolean {
    return this.get(name) !== undefined
  }

  /** Whether Python takes the setting for true. */
  isSet(name: string): boolean {
    const value = this.get(name)
    return value !== undefined && truthy(value)
  }

  optionalText(name: string): string | undefined {
    const value = this.get(name)
    return typeof value === "string" ? value : undefined
  }

  text(name: string): string {
    return this.optionalText(name) ?? this.fail(name, "a text is missing.")
  }

  number(name: string, fallback: number): number {
    return this.optionalNumber(name) ?? fallback
  }

  optionalNumber(name: string): number | undefined {
    const value = this.get(name)
    return typeof value === "number" ? value : value === undefined ? undefined : floatOf(value)
  }

  texts(name: string): ReadonlyArray<string> {
    const value = this.get(name)
    return Array.isArray(value) ? value.map(String) : []
  }

  /** A component in a setting. */
  child(name: string): Component | undefined {
    const value = this.get(name)
    return value !== undefined && isPlainDict(value) ? new Component(value, `${this.path}.${name}`) : undefined
  }

  needed(name: string): Component {
    return this.child(name) ?? this.fail(name, "a component is missing.")
  }

  /** The components in a setting that is a list, or one of them alone. */
  children(name: string): ReadonlyArray<Component> {
    const value = this.get(name)
    if (!Array.isArray(value)) {
      const one = this.child(name)
      return one === undefined ? [] : [one]
    }
    return value.flatMap((item, index) =>
      isPlainDict(item) ? [new Component(item, `${this.path}.${name}[${index}]`)] : []
    )
  }

  /** The component with another value of a setting. */
  with(name: string, value: Value): Component {
    return new Component({ ...this.data, [name]: value }, this.path)
  }

  /** Throws a `ManifestError` that names the setting. */
  fail(name: string, problem: string, kind: "invalid" | "unsupported" = "invalid"): never {
    const path = name === "" ? this.path : `${this.path}.${name}`
    throw new ManifestError({ kind, problems: [{ path, problem }] })
  }
}
