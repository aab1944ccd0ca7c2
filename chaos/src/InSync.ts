import { Effect } from "effect"
import { Kafka, logLevel } from "kafkajs"

/** Partitions of which a replica is behind, as `topic/partition`; fails while the brokers do not answer. */
export const behind = (brokers: ReadonlyArray<string>) =>
  Effect.acquireUseRelease(
    Effect.sync(() =>
      new Kafka({
        brokers: [...brokers],
        clientId: "chaos",
        logLevel: logLevel.NOTHING,
        connectionTimeout: 2_000,
        requestTimeout: 5_000,
        retry: { retries: 2 }
      }).admin()
    ),
    (admin) =>
      Effect.tryPromise(async () => {
        await admin.connect()
        const { topics } = await admin.fetchTopicMetadata()
        return topics.flatMap(({ name, partitions }) =>
          partitions
            .filter(({ isr, leader, replicas }) => leader < 0 || isr.length < replicas.length)
            .map(({ partitionId }) => `${name}/${partitionId}`)
        )
      }),
    (admin) => Effect.ignore(Effect.tryPromise(() => admin.disconnect()))
  ).pipe(Effect.timeout("10 seconds"))
