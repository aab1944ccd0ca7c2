/** The region that an ARN names; `undefined` for anything else: then AWS_REGION or the profile says. */
const regionOf = (name: string): string | undefined => {
  const [arn, , , region = ""] = name.split(":")
  return arn === "arn" && region !== "" ? region : undefined
}

/**
 * Settings of the AWS clients. All else, credentials among it, is found by the SDK in its own places: the environment, profiles, and
 * roles of machines, containers and service accounts. `AWS_ENDPOINT_URL` is obeyed.
 */
export const clientOptions = (name: string) => {
  const region = regionOf(name)
  return {
    // Repeated by whoever asks.
    maxAttempts: 1,
    requestHandler: { connectionTimeout: 3000, requestTimeout: 8000 },
    ...(region === undefined ? {} : { region })
  }
}
