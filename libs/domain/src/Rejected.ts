/** Headers of a dead-letter record; its key and value are the bytes of the record that was rejected. */
export const rejectedHeaders = {
  /** One sentence: what is wrong, what was found, what was expected. */
  reason: "tributary-reason",
  /** Low-cardinality code of the reason, for counting. */
  code: "tributary-code",
  /** The stage that rejected it: `source`, `transform` or `sink`. */
  stage: "tributary-stage",
  /** Where the record stood: topic, partition and offset (or page number and record index for the source). */
  topic: "tributary-topic",
  partition: "tributary-partition",
  offset: "tributary-offset"
} as const

/** A record that cannot be processed, with the reason. It is data: it goes to the dead-letter topic. */
export interface Rejected {
  readonly code: string
  readonly reason: string
}
