import { randomUUID } from "node:crypto"

/** What an expression may ask of the world: the time and chance. Both are given by the caller, so that tests repeat. */
export interface Ports {
  /** Microseconds since the epoch. */
  readonly nowMicros: () => number
  /** A random (version 4) UUID. */
  readonly uuid: () => string
  /** A number from 0 to below 1. */
  readonly random: () => number
}

/** Ports with real chance, on the caller's clock. */
export const portsAt = (nowMicros: () => number): Ports => ({ nowMicros, uuid: randomUUID, random: Math.random })

const current = { ports: portsAt(() => 0) }

/** Runs `body` with the ports; evaluation is synchronous, so that one variable holds them. */
export const withPorts = <A>(ports: Ports, body: () => A): A => {
  const before = current.ports
  current.ports = ports
  try {
    return body()
  } finally {
    current.ports = before
  }
}

export const nowMicros = (): number => Math.floor(current.ports.nowMicros())
export const newUuid = (): string => current.ports.uuid()
export const random = (): number => current.ports.random()
