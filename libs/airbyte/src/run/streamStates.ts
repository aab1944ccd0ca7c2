import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"

const member = (value: Value | undefined, ...names: ReadonlyArray<string>): Value | undefined => {
  if (value === undefined || value === null || !isPlainDict(value)) return undefined
  const name = names.find((one) => Object.hasOwn(value, one))
  return name === undefined ? undefined : value[name]
}

const entriesOf = (message: Value): ReadonlyArray<Value> => {
  const state = member(message, "state") ?? message
  const all =
    member(member(state, "global", "globalState"), "stream_states", "streamStates") ?? member(state, "streamState")
  return Array.isArray(all) ? all : [member(state, "stream") ?? state]
}

/**
 * States by stream as Airbyte keeps them: messages of its protocol, one or a list, of a stream or global, with their envelope or
 * without; or what its pages and its API show (`streamDescriptor`, `streamState`).
 */
export const streamStates = (value: Value): ReadonlyMap<string, PlainDict> =>
  new Map(
    (Array.isArray(value) ? value : [value])
      .flatMap(entriesOf)
      .flatMap((entry): ReadonlyArray<readonly [string, PlainDict]> => {
        const name = member(member(entry, "stream_descriptor", "streamDescriptor"), "name")
        const state = member(entry, "stream_state", "streamState")
        if (typeof name !== "string") return []
        return [[name, state !== undefined && state !== null && isPlainDict(state) ? state : {}]]
      })
  )
