import type { Connector, SourceStream } from "./ConnectorFile.ts"
import type { Report } from "./Conflict.ts"
import { webhookPath } from "./StreamPlan.ts"
import type { SettingPath } from "./YamlSource.ts"

/** Settings by which an API is asked, which a stream that is sent has no use for. */
const asking = [
  "path",
  "address",
  "body",
  "job",
  "pagination",
  "partitions",
  "incremental",
  "unpack",
  "charset",
  "csv"
] as const
const ofHmac = ["header", "prefix", "timestamp_header"] as const

/** Checks what belongs together in `webhook`. */
export const checkWebhook = (stream: SourceStream, path: SettingPath, report: Report) => {
  const { webhook } = stream
  if (webhook === undefined) return
  for (const name of asking) {
    if (stream[name] === undefined) continue
    report(
      "error",
      [...path, name],
      `\`${name}\` beside \`webhook\``,
      "one of them",
      "A stream is asked for or sent. Take `webhook` out, or make two streams of it."
    )
  }
  if (stream.format !== "json") {
    report(
      "error",
      [...path, "format"],
      `${stream.format} with \`webhook\``,
      "json",
      "Remove `format`: deliveries are JSON."
    )
  }
  const at = [...path, "webhook"]
  const { signature } = webhook
  if ((signature === "hmac" || signature === "token") && webhook.header === undefined) {
    report(
      "error",
      [...at, "header"],
      `no \`header\` with the signature ${signature}`,
      "the header that has the signature",
      "Add it, for example header: x-signature."
    )
  }
  for (const name of ofHmac) {
    if (signature === "hmac" || webhook[name] === undefined || (name === "header" && signature === "token")) continue
    report(
      "error",
      [...at, name],
      `\`${name}\` with the signature ${signature}`,
      "the signature hmac",
      `Remove it: how ${signature} signs is known.`
    )
  }
  if (signature === "hmac" && !webhook.signed.includes("{body}")) {
    report(
      "error",
      [...at, "signed"],
      JSON.stringify(webhook.signed),
      "a text with {body}",
      "What is signed has to hold the body, or anybody could change it."
    )
  }
  if (signature === "hmac" && webhook.signed.includes("{timestamp}") !== (webhook.timestamp_header !== undefined)) {
    report(
      "error",
      [...at, "timestamp_header"],
      "{timestamp} in `signed` without `timestamp_header`, or the other way round",
      "both or none",
      "A time that is not signed proves nothing."
    )
  }
  if (signature === "hmac" && webhook.signed.includes("{id}") && webhook.id_header === undefined) {
    report(
      "error",
      [...at, "signed"],
      "{id} without `id_header`",
      "both",
      "Name the header that has the delivery's id."
    )
  }
}

/** Reports streams that would be received at the same path. */
export const checkWebhookPaths = ({ connector, streams }: Connector, report: Report) => {
  const owners = new Map<string, string>()
  for (const [name, stream] of Object.entries(streams)) {
    if (stream.webhook === undefined) continue
    const path = webhookPath(connector, name, stream.webhook)
    const owner = owners.get(path)
    owners.set(path, name)
    if (owner === undefined) continue
    report(
      "error",
      ["streams", name, "webhook", "path"],
      `the path ${path}, at which the stream ${owner} is received`,
      "one path per stream",
      "Choose another path; to take several kinds of records from one path, use one stream, and `filter` in transforms."
    )
  }
}
