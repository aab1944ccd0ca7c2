/** A broker that is the tests' own, so that they may end it. */
export interface KafkaServer {
  readonly address: string
  /** Ends the broker at once, as a crash does. */
  readonly kill: () => Promise<void>
  /** Starts it again on its data, after `kill`. */
  readonly restart: () => Promise<void>
  /** Ends it and removes its data. */
  readonly stop: () => Promise<void>
}

/** Settings of a broker for one test run: work that a broker does every few minutes is done at once. */
export const quick: Readonly<Record<string, string>> = {
  "log.initial.task.delay.ms": "500",
  "log.retention.check.interval.ms": "500",
  "log.segment.delete.delay.ms": "100",
  "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000"
}
