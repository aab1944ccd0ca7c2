/** A manifest's stream as it is called here: in small letters, digits, - and _, for it names topics and tables. */
export const streamNameOf = (name: string): string =>
  name
    .replace(/([a-z0-9])([A-Z])/gu, "$1_$2")
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/gu, "_")
    .replace(/^[^a-z]+/u, "")
    .replace(/_+$/u, "")
