import { Schema } from "effect"

const identifierOf = (thing: string) =>
  Schema.String.check(Schema.isPattern(/^[a-z][a-z0-9_-]{0,62}$/u)).annotate({
    title: "name",
    expected: `the name of a ${thing}: a lower-case letter, then at most 62 of a-z, 0-9, _ and -`,
    advice: (value) => {
      const name = typeof value === "string" ? value.toLowerCase().replaceAll(/[^a-z0-9_-]+/gu, "_") : ""
      return /^[a-z][a-z0-9_-]{0,62}$/u.test(name) ? `Write ${name}.` : undefined
    }
  })

/** Identifier of a connector: lower-case letters, digits, `-` and `_`; it is part of topic and table names. */
export const ConnectorId = identifierOf("connector").pipe(Schema.brand("ConnectorId"))
export type ConnectorId = typeof ConnectorId.Type

/** Name of a stream within its connector; the same alphabet as `ConnectorId`. */
export const StreamName = identifierOf("stream").pipe(Schema.brand("StreamName"))
export type StreamName = typeof StreamName.Type

/** Compacted topics in which the platform keeps its own durable state. */
export const connectorsTopic = "_tributary.connectors"
export const checkpointsTopic = "_tributary.checkpoints"
export const statusTopic = "_tributary.status"

/** Topic of what happened to tokens: who did what and when, never the token. Only ever added to. */
export const auditTopic = "_tributary.audit"

/** Topic of the records of a stream as the API sent them. */
export const rawTopic = (connector: string, stream: string): string => `raw.${connector}.${stream}`
/** Topic of the records of a stream after its transform, unless the file names another. */
export const streamTopic = (connector: string, stream: string): string => `${connector}.${stream}`
/** Topic of the records of a stream that could not be processed, with reason and position. */
export const deadTopic = (connector: string, stream: string): string => `dead.${connector}.${stream}`

/** Topic of the deliveries of a stream that is sent (webhooks), as they came: from it they are published once. */
export const inboxTopic = (connector: string, stream: string): string => `inbox.${connector}.${stream}`

/** Ids of deliveries that were published, shortened, so that one that comes again is known. */
export const seenTopic = (connector: string, stream: string): string => `_tributary.seen.${connector}.${stream}`

/** Key of a stream in compacted topics, and its transactional id: one worker at a time may write it. */
export const streamKey = (connector: string, stream: string): string => `${connector}/${stream}`
