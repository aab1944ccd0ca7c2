import type { FailureClass } from "@tributary/domain"
import { Clock, Context, Deferred, Duration, Effect, Layer, Schema, type Scope } from "effect"
import { randomUUID } from "node:crypto"

/** Somebody else holds the lease, and went on holding it for as long as was waited. */
export class LeaseTaken extends Schema.TaggedError<LeaseTaken>()("LeaseTaken", {
  key: Schema.String,
  /** Milliseconds until the lease ends if its holder does not renew it. */
  endsIn: Schema.Finite
}) {
  readonly failureClass: FailureClass = "transient"
  override get message(): string {
    return `Lease ${this.key}: another process holds it, for ${this.endsIn} ms more if it does not renew it. Try again later, or wait longer.`
  }
}

/** Who holds the lease cannot be found out or changed now. Nothing is known about it then: it may even have been taken. */
export class LeaseError extends Schema.TaggedError<LeaseError>()("LeaseError", {
  key: Schema.String,
  problem: Schema.String,
  failureClass: Schema.Literals(["transient", "misconfigured"])
}) {
  override get message(): string {
    return `Lease ${this.key}: ${this.problem}`
  }
}

/** A lease that was held is, or may be, no longer held: another process may have it with a greater epoch. */
export class LeaseLost extends Schema.TaggedError<LeaseLost>()("LeaseLost", {
  key: Schema.String,
  epoch: Schema.Int,
  problem: Schema.String
}) {
  readonly failureClass: FailureClass = "transient"
  override get message(): string {
    return `Lease ${this.key} (epoch ${this.epoch}) is lost: ${this.problem} What was done under it is begun anew by whoever holds it now.`
  }
}

/** A lease that is held. It is renewed in the background until its scope closes, which gives it back. */
export interface Lease {
  readonly key: string
  /** Names this holding of the lease; never used twice. */
  readonly owner: string
  /**
   * Fencing number: greater than that of every earlier holder of the key. Hand it to whatever is written under the lease, so
   * that a store can refuse the write of a holder that was paused and does not know yet that its lease passed on.
   */
  readonly epoch: number
  /** Waits, and fails as soon as the lease is lost. To be raced with the work that is done under it. */
  readonly lost: Effect.Effect<never, LeaseLost>
  /**
   * Fails if the lease is lost or was not confirmed in time, which a program that was paused finds out nowhere else. Costs
   * no request. Still, the program may be paused between this and a write: only the store that compares can refuse that one.
   */
  readonly check: Effect.Effect<void, LeaseLost>
  /**
   * Milliseconds for which the lease is held for certain from now on, even if it cannot be renewed any more; 0: it is lost.
   * Costs no request. What takes less than that is over before another process can have the lease.
   */
  readonly left: Effect.Effect<number>
  /**
   * Whether the holder before did not give it back: it died, stood still or was cut off, and what it did may not show yet.
   * Also true if it gave it back and that was not heard.
   */
  readonly isInherited: boolean
}

export interface LeaseOptions {
  /** How long the lease outlives its holder; it is renewed every third of it. At least 100 ms. */
  readonly ttl: Duration.Input
  /** How long to wait for another holder; by default not at all. */
  readonly wait?: Duration.Input
  /** What the lease is held for, where that outlives its holder. */
  readonly purpose?: LeasePurpose
}

/**
 * What a lease is held for: work that goes on elsewhere when its holder ends. Whoever goes on with it takes the lease over from the
 * holder at once, whether that one is still there or not.
 */
export interface LeasePurpose {
  /** The same for all who hold the lease for it; made of letters, digits and `-`. */
  readonly name: string
  /** Asked when the scope of the holder closes. `true`: the lease is not given back, it ends by itself after its time. */
  readonly isUnfinished: () => boolean
  /** Takes the lease only from one who held it for the same; else it counts as taken. */
  readonly onlyOver?: boolean
}

/**
 * Leases: at most one holder per key at a time, among all processes that share the service. They save work and are no proof:
 * a clock that jumps, a holder that is paused, or a server that lost its data can make two processes believe that they hold
 * one lease. Their epochs differ, and what must never happen twice is prevented by a compare-and-set in the store.
 */
export class Leases extends Context.Service<
  Leases,
  {
    /** Takes the lease and holds it until the scope closes. Those who wait get it in no particular order. */
    readonly acquire: (key: string, options: LeaseOptions) => Effect.Effect<Lease, LeaseError | LeaseTaken, Scope.Scope>
  }
>()("@tributary/vault/Leases") {
  /**
   * Leases among the fibers of this process, for an engine that runs in one. They end with the scope of their holder:
   * holders here cannot vanish. Epochs begin at the present time in milliseconds, so they also grow over restarts.
   */
  static readonly layerMemory = Layer.sync(Leases, () => {
    interface Holding {
      readonly released: Deferred.Deferred<void>
      readonly purpose: string | undefined
      /** When it ends, for one whose scope has closed; milliseconds since 1970. */
      endsAt: number
    }
    const held = new Map<string, Holding>()
    const epochs = new Map<string, number>()

    const take = Effect.fnUntraced(function* (key: string, { purpose, ttl }: LeaseOptions) {
      const now = yield* Clock.currentTimeMillis
      const epoch = Math.max((epochs.get(key) ?? 0) + 1, Math.floor(now))
      const holding: Holding = { released: Deferred.makeUnsafe(), purpose: purpose?.name, endsAt: Infinity }
      const isInherited = held.has(key)
      held.set(key, holding)
      epochs.set(key, epoch)
      const lease: Lease = {
        key,
        owner: randomUUID(),
        epoch,
        lost: Effect.never,
        check: Effect.suspend(() =>
          held.get(key) === holding
            ? Effect.void
            : Effect.fail(new LeaseLost({ key, epoch, problem: "it was taken over." }))
        ),
        left: Effect.succeed(Infinity),
        isInherited
      }
      yield* Effect.addFinalizer(() =>
        Effect.gen(function* () {
          if (purpose?.isUnfinished() === true) {
            holding.endsAt = (yield* Clock.currentTimeMillis) + Duration.toMillis(ttl)
          } else if (held.get(key) === holding) held.delete(key)
          yield* Deferred.succeed(holding.released, undefined)
        })
      )
      return lease
    }, Effect.uninterruptible)

    const acquire = Effect.fn("Leases.acquire")(function* (key: string, options: LeaseOptions) {
      const { purpose, ttl, wait = 0 } = options
      const deadline = (yield* Clock.currentTimeMillis) + Duration.toMillis(wait)
      for (;;) {
        const holder = held.get(key)
        const now = yield* Clock.currentTimeMillis
        const isFree = holder === undefined || holder.endsAt <= now
        const isSame = holder !== undefined && purpose !== undefined && holder.purpose === purpose.name
        if (isSame || (isFree && purpose?.onlyOver !== true)) return yield* take(key, options)
        const left = deadline - now
        if (holder === undefined || left <= 0) return yield* new LeaseTaken({ key, endsIn: Duration.toMillis(ttl) })
        // One that is left behind ends by itself.
        const released = Number.isFinite(holder.endsAt)
          ? Effect.sleep(holder.endsAt - now)
          : Deferred.await(holder.released)
        yield* Effect.timeoutOption(released, left)
      }
    })

    return Leases.of({ acquire })
  })
}
