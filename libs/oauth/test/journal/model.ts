import type { JournalEntry } from "@tributary/vault"
import { isMending, mayRepeat, type RefreshPolicy } from "../../src/journal/RefreshPolicy.ts"
import { begin, next, type Outcome, type Step } from "../../src/journal/transitions.ts"

/*
 * Two workers, a store, a lease, a network and a strict server as one state, and everything that can happen next. Time is counted
 * in ticks: a request reaches the server within one, the lease lives for two.
 */
const reach = 1
const leaseTime = 2

export interface Provider {
  readonly name: string
  readonly rotates: boolean
  readonly grace: number
  readonly policy: RefreshPolicy
}

/** How the clients of a run behave. `memoryless`: the transitions of the journal, which is never written. */
export type Client = "journal" | "memoryless"

/** So often somebody may begin before all goes well. */
const starts: Readonly<Record<Client, number>> = { journal: 4, memoryless: 3 }

/** What may go wrong, each as often as the budget allows in one execution. */
export type Fault =
  | "crash"
  | "reply-lost"
  | "request-lost"
  | "duplicate"
  | "refused-for-now"
  | "lease-lost"
  | "store-down"
export const faults: ReadonlyArray<Fault> = [
  "crash",
  "reply-lost",
  "request-lost",
  "duplicate",
  "refused-for-now",
  "lease-lost",
  "store-down"
]

interface Token {
  readonly spentAt?: number
  readonly successor?: number
  readonly isGone?: true
}
interface Worker {
  /** `undefined`: it holds no lease. */
  readonly step?: Step<number>
  readonly token: number
  readonly generation: number
  readonly epoch: number
  /** Until when its lease is certain. */
  readonly leaseUntil: number
  /** Its lease is not renewed any more. */
  readonly isCutOff: boolean
  /** Since when its tokens wait for the outcome of another's request. */
  readonly waitsSince?: number
  readonly flight?: { readonly token: number; readonly sentAt: number; readonly reply?: Outcome<number> | "none" }
}
interface State {
  readonly now: number
  readonly left: number
  readonly tokens: ReadonlyArray<Token>
  readonly isRevoked: boolean
  /** Why the family was revoked. */
  readonly blame?: "duplicate" | "client"
  readonly store: {
    readonly generation: number
    readonly token: number
    readonly entry?: JournalEntry
    readonly isDown: boolean
  }
  readonly lease: { readonly holder: number; readonly epoch: number; readonly until: number }
  readonly workers: ReadonlyArray<Worker>
  /** Requests of workers that died. */
  readonly orphans: ReadonlyArray<number>
  /** Refresh tokens that a worker received and did not die with: these must not get lost. */
  readonly heard: ReadonlyArray<number>
  /** A worker was told that the refresh token is dead. */
  readonly isRefused?: true
}

const idle: Worker = { token: 0, generation: 0, epoch: 0, leaseUntil: 0, isCutOff: false }
const initial = (budget: number): State => ({
  now: 0,
  left: budget,
  tokens: [{}],
  isRevoked: false,
  store: { generation: 0, token: 0, isDown: false },
  lease: { holder: -1, epoch: 0, until: 0 },
  workers: [idle, idle],
  orphans: [],
  heard: []
})

const put = (state: State, index: number, worker: Worker): State => ({
  ...state,
  workers: state.workers.map((old, at) => (at === index ? worker : old))
})

/** What the server does with a refresh token: the rules of `AuthState`. */
const carryOut = (provider: Provider, state: State, value: number, isCopy = false): [State, Outcome<number>] => {
  const token = state.tokens[value]
  if (state.isRevoked || token === undefined || token.isGone) return [state, { is: "refused" }]
  if (!provider.rotates) return [state, { is: "granted", tokens: value }]
  let { tokens } = state
  if (token.spentAt !== undefined) {
    const successor = tokens[token.successor ?? -1]
    const isReplay = state.now - token.spentAt < provider.grace && successor?.spentAt === undefined
    if (!isReplay) {
      const blame = state.blame ?? (isCopy ? "duplicate" : "client")
      return [{ ...state, isRevoked: true, blame }, { is: "refused" }]
    }
    tokens = tokens.map((old, at) => (at === token.successor ? { ...old, isGone: true } : old))
  }
  const successor = tokens.length
  tokens = [...tokens, {}].map((old, at) => (at === value ? { spentAt: old.spentAt ?? state.now, successor } : old))
  return [
    { ...state, tokens },
    { is: "granted", tokens: successor }
  ]
}

/** The compare-and-set of the store, as `TokenStore` promises it. */
const applyStep = (
  client: Client,
  { entry, generation, ...store }: State["store"],
  step: Step<number>,
  worker: Worker,
  now: number
): [State["store"], Outcome<number>] => {
  const same = { ...store, generation, ...(entry === undefined ? {} : { entry }) }
  if (client !== "journal" && (step.do === "intend" || step.do === "note")) return [same, { is: "written" }]
  if (generation !== worker.generation) return [same, { is: "conflict" }]
  const superseded = {
    is: "superseded",
    by: entry,
    isAbandoned: now - (worker.waitsSince ?? now) >= 2 * leaseTime + reach
  } as const
  if (step.do === "save") {
    const isOpen = entry === undefined || entry.state === "given-up" || entry.attempt === step.entry.attempt
    if (!isOpen && client === "journal") return [same, superseded]
    return [{ ...store, generation: generation + 1, token: step.tokens }, { is: "written" }]
  }
  if (step.do !== "intend" && step.do !== "note") return [same, { is: "written" }]
  const following = step.do === "intend" ? step.entry : step.next
  const over = step.do === "intend" ? step.before : step.entry
  if (entry?.attempt === following?.attempt && entry?.state === following?.state) return [same, { is: "written" }]
  if (entry?.attempt !== over?.attempt) return [same, superseded]
  return [{ ...store, generation, ...(following === undefined ? {} : { entry: following }) }, { is: "written" }]
}

/** A worker goes on with what came of its step; at the end it gives the lease back. */
const proceed = (provider: Provider, state: State, index: number, outcome: Outcome<number>): State => {
  const { flight: _, waitsSince = state.now, ...worker } = state.workers[index] ?? idle
  if (worker.step === undefined || worker.step.do === "end") return state
  const step = next(worker.step, outcome, { policy: provider.policy, now: state.now, reach })
  if (step.do !== "end")
    return put(state, index, { ...worker, step, ...(outcome.is === "superseded" ? { waitsSince } : {}) })
  const lease =
    state.lease.holder === index && state.lease.epoch === worker.epoch ? { ...state.lease, holder: -1 } : state.lease
  const isRefused = step.end.is === "refused" || step.end.is === "given-up"
  return put({ ...state, lease, ...(isRefused ? { isRefused } : {}) }, index, idle)
}

/** Takes the lease, looks into the store and begins. */
const start = (provider: Provider, client: Client, state: State, index: number): State => {
  const epoch = state.lease.epoch + 1
  const { entry, generation, token } = state.store
  const lease = { holder: index, epoch, until: state.now + leaseTime }
  const situation = {
    policy: provider.policy,
    found: client === "journal" ? entry : undefined,
    spends: String(token),
    attempt: String(epoch),
    epoch,
    now: state.now,
    reach
  }
  const worker: Worker = { ...idle, step: begin<number>(situation), token, generation, epoch, leaseUntil: lease.until }
  const started = put({ ...state, lease }, index, worker)
  if (worker.step?.do !== "end") return started
  return put({ ...started, lease: { ...lease, holder: -1 }, isRefused: true }, index, idle)
}

const mayStart = ({ lease, now, store, workers }: State, index: number): boolean => {
  const worker = workers[index]
  if (worker === undefined || worker.step !== undefined || store.isDown) return false
  if (lease.holder !== -1 && now <= lease.until) return false
  const { entry } = store
  // What another process sent has reached the server by then, or never does.
  return entry?.state !== "sent" || now >= entry.at + reach
}

const tick = (state: State): State => {
  const now = state.now + 1
  const holder = state.workers[state.lease.holder]
  const isHeld = holder?.step !== undefined && holder.epoch === state.lease.epoch && !holder.isCutOff
  const renewed = { ...state, now, ...(isHeld ? { lease: { ...state.lease, until: now + leaseTime } } : {}) }
  return isHeld ? put(renewed, state.lease.holder, { ...holder, leaseUntil: now + leaseTime }) : renewed
}

/** Everything that can happen next, with what it is called. */
const successors = (
  provider: Provider,
  client: Client,
  state: State,
  allowed: ReadonlySet<Fault>,
  last: number
): ReadonlyArray<readonly [string, State]> => {
  const found: Array<readonly [string, State]> = []
  const add = (name: string, state: State) => found.push([name, state])
  const can = (fault: Fault) => state.left > 0 && allowed.has(fault)
  const paid = { ...state, left: state.left - 1 }
  const isUnderWay = state.workers.some(
    ({ flight }) => flight !== undefined && flight.reply === undefined && flight.sentAt + reach <= state.now
  )
  if (state.now < last && !isUnderWay && state.orphans.length === 0) add("tick", tick(state))
  if (state.store.isDown) add("store up", { ...state, store: { ...state.store, isDown: false } })
  else if (can("store-down")) add("store down", { ...paid, store: { ...paid.store, isDown: true } })
  for (const value of state.orphans) {
    const rest = { ...state, orphans: state.orphans.filter((other) => other !== value) }
    add("orphan arrives", carryOut(provider, rest, value)[0])
    add("orphan gone", rest)
  }
  for (const [index, worker] of state.workers.entries()) {
    if (mayStart(state, index) && state.store.generation < 2 && state.lease.epoch < starts[client])
      add(`${index} starts`, start(provider, client, state, index))
    const { flight, step } = worker
    if (step === undefined || step.do === "end") continue
    if (can("crash")) {
      const orphans =
        flight?.reply === undefined && flight !== undefined ? [...state.orphans, flight.token] : state.orphans
      add(
        `${index} dies in ${step.do}`,
        put(
          { ...paid, orphans, heard: state.heard.filter((token) => !(step.do === "save" && token === step.tokens)) },
          index,
          idle
        )
      )
    }
    if (can("lease-lost") && !worker.isCutOff)
      add(`${index} is cut off`, put(paid, index, { ...worker, isCutOff: true }))
    const to = (state: State, outcome: Outcome<number>) => proceed(provider, state, index, outcome)
    if (step.do !== "send") {
      const [store, outcome] = applyStep(client, state.store, step, worker, state.now)
      if (state.store.isDown) {
        add(`${index} ${step.do} fails`, to(state, { is: "store-down" }))
        add(`${index} ${step.do} made, not told`, to({ ...state, store }, { is: "store-down" }))
      } else add(`${index} ${step.do} ${outcome.is}`, to({ ...state, store }, outcome))
    } else if (flight === undefined) {
      const isHeld = worker.leaseUntil - state.now >= reach
      const { entry } = step
      const isInTime =
        entry.tries === 1 || client !== "journal" || mayRepeat(provider.policy, entry.firstAt, state.now, reach)
      if (isHeld && isInTime)
        add(`${index} sends`, put(state, index, { ...worker, flight: { token: worker.token, sentAt: state.now } }))
      else add(`${index} withdraws`, to(state, { is: "not-carried-out" }))
    } else if (flight.reply === undefined) {
      const reply = (name: string, from: State, reply: Outcome<number> | "none") =>
        add(`${index}: ${name}`, put(from, index, { ...worker, flight: { ...flight, reply } }))
      const [done, outcome] = carryOut(provider, state, flight.token)
      reply("carried out", done, outcome)
      if (can("reply-lost")) reply("carried out, reply lost", carryOut(provider, paid, flight.token)[0], "none")
      if (can("request-lost")) reply("request lost", paid, "none")
      if (can("refused-for-now")) reply("refused for now", paid, { is: "not-carried-out" })
      if (can("duplicate")) {
        const [twice, second] = carryOut(provider, carryOut(provider, paid, flight.token)[0], flight.token, true)
        reply("carried out twice", twice, second)
      }
    } else {
      const heard =
        flight.reply !== "none" && flight.reply.is === "granted" ? [...state.heard, flight.reply.tokens] : state.heard
      add(`${index} hears`, to({ ...state, heard }, flight.reply === "none" ? { is: "lost" } : flight.reply))
      // A slow answer, which came after the client gave up.
      if (flight.reply !== "none" && state.now > flight.sentAt && can("reply-lost"))
        add(`${index} gave up waiting`, to(paid, { is: "lost" }))
    }
  }
  return found
}

/** Whether the server would take the refresh token that is stored. */
const isAlive = (state: State): boolean => {
  const token = state.tokens[state.store.token]
  return !state.isRevoked && token !== undefined && token.spentAt === undefined && token.isGone === undefined
}

export type Verdict = "recovered" | "needs-consent" | "lost"

interface Ending {
  readonly verdict: Verdict
  readonly end: State
}

/** How it ends when nothing goes wrong any more: everybody alive goes on, time passes when there is nothing else to do. */
const settle = (provider: Provider, client: Client, from: State, known: Map<string, Ending>): Ending => {
  let state: State = { ...from, left: 0, store: { ...from.store, isDown: false } }
  const none: ReadonlySet<Fault> = new Set()
  const passed: Array<string> = []
  let ending: Ending | undefined
  while (ending === undefined && passed.length < 200) {
    const key = JSON.stringify(state)
    ending = known.get(key)
    if (ending !== undefined) break
    passed.push(key)
    const busy = state.workers.some(({ step }) => step !== undefined)
    const { entry } = state.store
    const isOver = !busy && state.orphans.length === 0 && entry?.state !== "sent"
    if (isOver && (entry !== undefined || state.isRefused || isAlive(state))) break
    const options = successors(provider, client, state, none, Infinity).filter(([name]) => !name.endsWith("starts"))
    const first = options.find(([name]) => name !== "tick") ?? options[0]
    const starter = state.workers.findIndex((_, index) => mayStart(state, index))
    if (first !== undefined && (first[0] !== "tick" || starter < 0)) state = first[1]
    else state = starter < 0 ? tick(state) : start(provider, client, state, starter)
  }
  const isDead = state.store.entry?.state === "given-up" || state.isRefused === true
  ending ??= { verdict: isAlive(state) ? "recovered" : isDead ? "needs-consent" : "lost", end: state }
  for (const key of passed) known.set(key, ending)
  return ending
}

export interface Finding {
  readonly problem: string
  readonly path: ReadonlyArray<string>
}
export interface Exploration {
  states: number
  recovered: number
  needsConsent: number
  lost: number
  /** Executions in which a repetition made the server revoke everything. */
  revoked: number
  findings: Array<Finding>
}

/** Goes through all executions with at most `budget` faults, and tells how each state ends when all goes well from there. */
export const explore = (
  provider: Provider,
  client: Client,
  allowed: ReadonlyArray<Fault>,
  budget: number,
  last: number
): Exploration => {
  const result: Exploration = { states: 0, recovered: 0, needsConsent: 0, lost: 0, revoked: 0, findings: [] }
  const seen = new Set<string>()
  const known = new Map<string, Ending>()
  const open: Array<{ readonly state: State; readonly path: ReadonlyArray<string> }> = [
    { state: initial(budget), path: [] }
  ]
  const kinds = new Set(allowed)
  for (;;) {
    const item = open.pop()
    if (item === undefined) return result
    const { path, state } = item
    const key = JSON.stringify(state)
    if (seen.has(key)) continue
    seen.add(key)
    result.states++
    const report = (problem: string) => {
      if (result.findings.length < 5) result.findings.push({ problem, path })
    }
    const following = successors(provider, client, state, kinds, last)
    for (const [name, after] of following) open.push({ state: after, path: [...path, name] })
    // While somebody is at it, all that can come of that is among what follows.
    const isQuiet = state.workers.every(({ step }) => step === undefined) && state.orphans.length === 0
    if (!isQuiet && following.some(([name]) => name !== "tick")) continue
    const { end, verdict } = settle(provider, client, state, known)
    if (end.blame === "client") {
      result.revoked++
      report("a repetition revoked the family")
    }
    if (verdict === "recovered") result.recovered++
    else if (end.blame === undefined && !isExcused(provider, end)) {
      result.lost++
      report(`lost although there was a way (${verdict}): ${JSON.stringify(end)}`)
    } else result.needsConsent++
  }
}

/** Whether no way was left: an outcome that cannot be known, at a provider that does not forgive, or no longer. */
const isExcused = (provider: Provider, end: State): boolean => {
  const { entry } = end.store
  if (entry?.state !== "given-up") return false
  if (end.heard.some((value) => isAlive({ ...end, store: { ...end.store, token: value } }))) return false
  return !isMending(provider.policy, entry.firstAt, end.now, reach)
}
