import { PyError } from "./PyError.ts"

/** Bounds on one evaluation. Every limit ends the evaluation with a `LimitError`; none is met by an ordinary manifest. */
export interface Limits {
  /** Operations: one per operator, call, loop turn, filtered element and regular-expression step. */
  readonly steps: number
  /** Characters and list elements made during the evaluation, in sum, which also bounds the output. */
  readonly size: number
}

export const defaultLimits: Limits = { steps: 2_000_000, size: 20_000_000 }

/**
 * What the running evaluation has used so far, and where it is. Evaluation is synchronous and one at a time, so this is
 * one mutable record instead of a parameter of every operation; `enter` and `leave` keep it right when a clock or another
 * port given by the caller evaluates an expression itself.
 *
 * Outside of an evaluation nothing is bounded: texts and times are made there for each record, of a process that runs for months, and
 * what they use would add up to any limit.
 */
export const meter = {
  stepsLeft: Infinity,
  sizeLeft: Infinity,
  limits: defaultLimits,
  /** Offset in the template of the operation being executed. */
  at: 0,
  /** Depth of nested renderings (macros, recursive loops). */
  depth: 0
}

export interface SavedMeter {
  readonly stepsLeft: number
  readonly sizeLeft: number
  readonly limits: Limits
  readonly at: number
  readonly depth: number
}

export const enter = (limits: Limits): SavedMeter => {
  const saved = { ...meter }
  meter.stepsLeft = limits.steps
  meter.sizeLeft = limits.size
  meter.limits = limits
  meter.at = 0
  meter.depth = 0
  return saved
}

export const leave = (saved: SavedMeter): void => {
  meter.stepsLeft = saved.stepsLeft
  meter.sizeLeft = saved.sizeLeft
  meter.limits = saved.limits
  meter.at = saved.at
  meter.depth = saved.depth
}

/** Counts `steps` operations, and ends the evaluation when too many have been done. */
export const tick = (steps = 1): void => {
  if ((meter.stepsLeft -= steps) < 0) {
    throw new PyError("LimitError", `the evaluation took more than ${meter.limits.steps} steps`)
  }
}

/** Counts `units` characters or elements about to be made; called before they are, so that nothing huge is allocated. */
export const grow = (units: number): void => {
  if (!((meter.sizeLeft -= units) >= 0)) {
    throw new PyError("LimitError", `the evaluation made more than ${meter.limits.size} characters or elements`)
  }
}
