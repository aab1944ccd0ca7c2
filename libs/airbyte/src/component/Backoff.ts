import { truthy } from "../expression/Compare.ts"
import { str } from "../expression/Repr.ts"
import { floatOf, intOf, type Value } from "../expression/Value.ts"
import { ExpressionError } from "../expression/ExpressionError.ts"
import type { Component } from "./Component.ts"
import type { Expressions } from "./Expressions.ts"
import { called, hookContext, hookOf } from "./Hooks.ts"
import { matchAtStart } from "./pythonRegex.ts"
import type { Response } from "./Response.ts"
import { failure } from "./RunError.ts"

/** When a request is tried again. */
export interface BackoffSeen {
  /** Undefined when there was none. */
  readonly response: Response | undefined
  /** How often the request has been sent, from 1. */
  readonly attempt: number
  /** Seconds since 1970. */
  readonly now: number
  /** A number from 0 to below 1. */
  readonly random: () => number
}

/** Seconds to wait; undefined when it cannot tell. */
export type Backoff = (seen: BackoffSeen) => number | undefined

const numberOf = (value: Value): number | undefined => {
  const number = floatOf(value) ?? intOf(value)
  if (number !== undefined) return Number(number)
  const text = typeof value === "string" ? value.trim() : ""
  return /^[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text) ? Number(text.replaceAll("_", "")) : undefined
}

const required = (component: Component, name: string, value: Value): number =>
  numberOf(value) ?? component.fail(name, "it does not come out as a number.")

const jittered = (component: Component, seconds: (seen: BackoffSeen) => number): Backoff => {
  const jitter = component.get("jitter_range_in_seconds")
  if (jitter === undefined) return seconds
  const range = required(component, "jitter_range_in_seconds", jitter)
  if (range < 0) component.fail("jitter_range_in_seconds", "it must not be negative.")
  return (seen) => seconds(seen) + seen.random() * range * 2
}

/** The longest wait the manifest allows: a longer one fails the stream. */
const cap = (component: Component, expressions: Expressions) => {
  const given = component.get("max_waiting_time_in_seconds")
  const limit =
    given === undefined
      ? undefined
      : required(component, "max_waiting_time_in_seconds", expressions.value(str(given), component.parameters))
  return (seconds: number): number => {
    if (limit !== undefined && seconds !== 0 && seconds >= limit) {
      throw failure(
        `Rate limit wait time ${seconds}s is greater than or equal to the maximum of ${limit}s this stream is allowed to wait.`,
        "transient_error"
      )
    }
    return seconds
  }
}

/** The number in a header, or the part of it that a pattern matches at its start. */
const headerNumber = (component: Component, expressions: Expressions) => {
  const pattern = component.optionalText("regex")
  return (response: Response | undefined): number | undefined => {
    if (response === undefined) return undefined
    const text = response.header(expressions.text(component.text("header"), component.parameters))
    if (text === undefined || text === "") return undefined
    if (pattern === undefined) return numberOf(text)
    return numberOf(matchAtStart(expressions.text(pattern, component.parameters), text) ?? text)
  }
}

const waitTimeFromHeader = (component: Component, expressions: Expressions): Backoff => {
  const read = headerNumber(component, expressions)
  const capped = cap(component, expressions)
  return ({ response }) => {
    const seconds = read(response)
    return seconds === undefined ? undefined : capped(seconds)
  }
}

const waitUntilTimeFromHeader = (component: Component, expressions: Expressions): Backoff => {
  const read = headerNumber(component, expressions)
  const capped = cap(component, expressions)
  return ({ now, response }) => {
    const until = read(response)
    const given = component.get("min_wait")
    const least = given === undefined ? undefined : numberOf(expressions.value(str(given), component.parameters))
    const hasLeast = least !== undefined && least !== 0
    if (until === undefined || until === 0) return hasLeast ? capped(least) : undefined
    const wait = until - now
    if (hasLeast) return capped(Math.max(wait, least))
    return wait < 0 ? undefined : capped(wait)
  }
}

const waitTimeFromResponse = (component: Component, expressions: Expressions): Backoff => {
  const capped = cap(component, expressions)
  const template = component.text("wait_time_in_seconds")
  return ({ response }) => {
    let value: Value
    try {
      value = expressions.value(template, component.parameters, {
        response: response?.json ?? {},
        headers: response?.headers ?? {}
      })
    } catch (error) {
      if (error instanceof ExpressionError) return undefined
      throw error
    }
    const seconds = value === template ? undefined : numberOf(value)
    if (seconds === undefined || !Number.isFinite(seconds) || seconds < 0) return undefined
    return capped(seconds)
  }
}

/** The back-off of a component. */
export const backoffOf = (component: Component, expressions: Expressions): Backoff => {
  const evaluated = (name: string, fallback: number) => {
    const given = component.get(name)
    const value = given === undefined || !truthy(given) ? fallback : expressions.value(str(given), component.parameters)
    return required(component, name, value)
  }
  switch (component.type) {
    case "ConstantBackoffStrategy":
      return jittered(component, () => evaluated("backoff_time_in_seconds", 0))
    case "ExponentialBackoffStrategy":
      return jittered(component, ({ attempt }) => evaluated("factor", 5) * 2 ** attempt)
    case "WaitTimeFromHeader":
      return waitTimeFromHeader(component, expressions)
    case "WaitUntilTimeFromHeader":
      return waitUntilTimeFromHeader(component, expressions)
    case "WaitTimeFromResponse":
      return waitTimeFromResponse(component, expressions)
    case "CustomBackoffStrategy": {
      const hook = hookOf(component, expressions, "backoffStrategies")
      const context = hookContext(component, expressions)
      return ({ attempt, response }) => called(component, () => hook(response, attempt, context))
    }
    default:
      return component.fail("type", `${component.type} is not a back-off.`, "unsupported")
  }
}
