import { Logger } from "effect"

/** Collects what is logged, with its level. */
export const logged = () => {
  const messages: Array<string> = []
  const layer = Logger.layer([
    Logger.make(({ logLevel, message }) => {
      messages.push(`${logLevel} ${Array.isArray(message) ? message.join(" ") : String(message)}`)
    })
  ])
  return { messages, layer }
}
