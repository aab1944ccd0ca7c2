/** Names of the exceptions an expression can end with, as Python, Jinja and the libraries behind the macros call them. */
export type PyErrorKind =
  | "AssertionError"
  | "AttributeError"
  | "FilterArgumentError"
  | "ISO8601Error"
  | "IndexError"
  | "KeyError"
  | "LimitError"
  | "LookupError"
  | "NameError"
  | "OverflowError"
  | "RecursionError"
  | "RuntimeError"
  | "SecurityError"
  | "StopIteration"
  | "TemplateAssertionError"
  | "TemplateRuntimeError"
  | "TemplateSyntaxError"
  | "TypeError"
  | "UndefinedError"
  | "UnicodeDecodeError"
  | "UnicodeEncodeError"
  | "UnknownTimeZoneError"
  | "UnsupportedInterpolation"
  | "ValueError"
  | "ZeroDivisionError"
  | "binascii.Error"
  | "re.error"

const parents: { readonly [K in PyErrorKind]?: PyErrorKind } = {
  FilterArgumentError: "TemplateRuntimeError",
  ISO8601Error: "ValueError",
  IndexError: "LookupError",
  KeyError: "LookupError",
  SecurityError: "TemplateRuntimeError",
  TemplateAssertionError: "TemplateSyntaxError",
  UndefinedError: "TemplateRuntimeError",
  UnicodeDecodeError: "ValueError",
  UnicodeEncodeError: "ValueError",
  UnknownTimeZoneError: "KeyError",
  "binascii.Error": "ValueError"
}

/**
 * An exception of the evaluated language. It never leaves this folder: the entry points turn it into an `ExpressionError`
 * that names the place.
 */
export class PyError extends Error {
  readonly kind: PyErrorKind

  constructor(kind: PyErrorKind, message: string) {
    super(message)
    this.kind = kind
  }

  /** Whether `except <kind>` would catch this exception. */
  is(...kinds: ReadonlyArray<PyErrorKind>): boolean {
    let kind: PyErrorKind | undefined = this.kind
    while (kind !== undefined) {
      if (kinds.includes(kind)) return true
      kind = parents[kind]
    }
    return false
  }
}

export const typeError = (message: string): PyError => new PyError("TypeError", message)
export const valueError = (message: string): PyError => new PyError("ValueError", message)
