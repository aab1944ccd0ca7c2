import type { Answer } from "./Answer.ts"
import type { Answering } from "./Api.ts"
import type { Route } from "./Case.ts"
import { nothingThere } from "./RandomAnswers.ts"

const hash = (text: string): number => {
  let value = 7
  for (let at = 0; at < text.length; at++) value = (Math.imul(value, 31) + text.charCodeAt(at)) >>> 0
  return value
}

/** Answers that somebody has to give up waiting for: clients' time limits count in whole seconds. */
const mostSlow = 20
const isSlow = ({ body, framing, raw, trickle, wait }: Answer): boolean =>
  framing === "none" ||
  framing === "lie" ||
  raw !== undefined ||
  wait > 0 ||
  trickle > 0 ||
  ("unit" in body && body.times < 0)

const tooMany: Answer = { ...nothingThere, status: 403 }

/**
 * Answers requests by routes. Which of a route's answers a request gets follows from its target and from how often that was asked
 * for, not from the order of requests, which may differ from run to run. Behind `most` requests everything is refused, so that even a
 * runner that would ask for ever comes to an end; so is everything behind `mostSlow` answers that do not end by themselves.
 */
export const answeringBy = (routes: ReadonlyArray<Route>, most: number): Answering => {
  const asked = new Map<string, number>()
  let slow = 0
  return ({ headers, method, target }, number) => {
    if (number >= most) return tooMany
    const meant = headers.get("x-meant-url") ?? target.replace(/^\/(https?)\//u, "$1://")
    const url = URL.canParse(meant, "http://api.test") ? new URL(meant, "http://api.test") : undefined
    const path = url?.pathname ?? target
    const route =
      routes.find(
        (candidate) =>
          (candidate.method ?? method) === method &&
          (candidate.path === path || candidate.path === `${url?.origin}${path}`)
      ) ?? routes.find((candidate) => candidate.path === "*")
    const count = route?.answers.length ?? 0
    if (route === undefined || count === 0) return nothingThere
    const visits = asked.get(meant) ?? 0
    asked.set(meant, visits + 1)
    // In the order of the answers where one address is asked again and again, as with cursors in the body.
    const answer = route.answers[(hash(url?.search ?? "") + visits) % count] ?? nothingThere
    return isSlow(answer) && ++slow > mostSlow ? tooMany : answer
  }
}
