import { Deck, Seeded } from "./Seeded.ts"

/** What is done to the platform at one moment. Times are milliseconds, `at` counted from the first moment of the faults. */
export type Fault =
  /** `kill -9` of services; the supervisor starts them again. */
  | { readonly at: number; readonly kind: "kill"; readonly targets: ReadonlyArray<string> }
  /** SIGSTOP of services, and SIGCONT after a time. */
  | { readonly at: number; readonly kind: "freeze"; readonly targets: ReadonlyArray<string>; readonly lasts: number }
  /** `kill -9` of a server, started again on its data after a time. */
  | { readonly at: number; readonly kind: "outage"; readonly targets: ReadonlyArray<string>; readonly lasts: number }

export interface PlanOptions {
  readonly seed: number
  /** How long faults are made, milliseconds. */
  readonly lasts: number
  /** Average time between two faults, milliseconds. */
  readonly pause: number
  /** A member of a group that is not heard of for so long loses its partitions, milliseconds. */
  readonly sessionTimeout: number
  /** Names of the services by stage. */
  readonly services: Readonly<Record<string, ReadonlyArray<string>>>
  readonly brokers: ReadonlyArray<string>
  /** Other servers than brokers. */
  readonly servers: ReadonlyArray<string>
}

type Kind = "kill one" | "kill stage" | "freeze one" | "freeze two" | "broker" | "server"

/** Kinds of faults in the proportion in which they come. */
const kinds: ReadonlyArray<Kind> = [
  ...Array<Kind>(6).fill("kill one"),
  "kill stage",
  ...Array<Kind>(5).fill("freeze one"),
  "freeze two",
  ...Array<Kind>(3).fill("broker"),
  ...Array<Kind>(4).fill("server")
]

/** How long after its fault a target is left alone, milliseconds: a service starts and joins, a broker catches up. */
const rest = { service: 4_000, broker: 20_000, server: 8_000 }

/**
 * The faults of a run in the order of their times. They follow from the options alone. Every kind and every target gets its
 * turn before any gets another; one target has one fault at a time, and one broker is away at a time.
 */
export const faultPlan = (options: PlanOptions): ReadonlyArray<Fault> => {
  const { brokers, lasts, pause, servers, sessionTimeout } = options
  const seeded = new Seeded(options.seed)
  const stages = Object.values(options.services)
  const busyUntil = new Map<string, number>()
  const kindDeck = new Deck(seeded, kinds)
  const serviceDeck = new Deck(seeded, stages.flat())
  const stageDeck = new Deck(seeded, stages)
  const brokerDeck = new Deck(seeded, brokers)
  const serverDeck = new Deck(seeded, servers)
  const plan: Array<Fault> = []

  const freezing = () => seeded.between(Math.round(1.3 * sessionTimeout), Math.round(2.6 * sessionTimeout))
  // Mostly short, at times longer than what clients bear without a word.
  const outage = () => (seeded.next() < 0.2 ? seeded.between(8_000, 16_000) : seeded.between(500, 5_000))

  const faultAt = (kind: Kind, at: number): Fault | undefined => {
    const isFree = (name: string) => (busyUntil.get(name) ?? 0) <= at
    const occupy = (names: ReadonlyArray<string>, until: number) => {
      for (const name of names) busyUntil.set(name, until)
    }
    switch (kind) {
      case "kill one":
      case "kill stage": {
        const one = kind === "kill one" ? serviceDeck.draw(isFree) : undefined
        const targets =
          kind === "kill one" ? (one === undefined ? [] : [one]) : stageDeck.draw((stage) => stage.every(isFree))
        if (targets === undefined || targets.length === 0) return undefined
        occupy(targets, at + rest.service)
        return { at, kind: "kill", targets }
      }
      case "freeze one":
      case "freeze two": {
        const first = serviceDeck.draw(isFree)
        const second = kind === "freeze two" ? serviceDeck.draw((name) => name !== first && isFree(name)) : undefined
        const targets = [first, second].filter((name) => name !== undefined)
        if (targets.length === 0) return undefined
        const lasts = freezing()
        occupy(targets, at + lasts + rest.service)
        return { at, kind: "freeze", targets, lasts }
      }
      case "broker": {
        const broker = brokers.every(isFree) ? brokerDeck.draw() : undefined
        if (broker === undefined) return undefined
        const lasts = outage()
        occupy(brokers, at + lasts + rest.broker)
        return { at, kind: "outage", targets: [broker], lasts }
      }
      case "server": {
        const server = serverDeck.draw(isFree)
        if (server === undefined) return undefined
        const lasts = outage()
        occupy([server], at + lasts + rest.server)
        return { at, kind: "outage", targets: [server], lasts }
      }
    }
  }

  for (let at = seeded.between(500, pause); at < lasts; at += seeded.between(pause / 4, (pause * 7) / 4)) {
    const time = Math.round(at)
    let fault: Fault | undefined
    // A kind whose targets are all busy loses its turn.
    for (let tries = 0; fault === undefined && tries < kinds.length; tries++) {
      const kind = kindDeck.draw()
      if (kind !== undefined) fault = faultAt(kind, time)
    }
    if (fault !== undefined) plan.push(fault)
  }
  return plan
}

const seconds = (millis: number): string => `${(millis / 1000).toFixed(1)} s`

/** One line that says what a fault does. */
export const describeFault = (fault: Fault): string => {
  const names = fault.targets.join(", ")
  switch (fault.kind) {
    case "kill":
      return `kill -9 ${names}`
    case "freeze":
      return `freeze ${names} for ${seconds(fault.lasts)}`
    case "outage":
      return `kill -9 ${names}, back after ${seconds(fault.lasts)}`
  }
}

/** The plan as a table of lines. */
export const describePlan = (plan: ReadonlyArray<Fault>): string =>
  plan.map((fault) => `${seconds(fault.at).padStart(9)}  ${describeFault(fault)}`).join("\n")
