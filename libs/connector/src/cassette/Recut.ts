import { writeBody, readBody, type CassetteBody, type CassetteLine, decodeLine, writeLine } from "./Cassette.ts"
import type { Cutter } from "./Cutter.ts"

const bodyOf = (body: CassetteBody | undefined, cutter: Cutter): CassetteBody | undefined => {
  if (body === undefined || "omitted" in body) return body
  const bytes = readBody(body)
  const cut = cutter.body(bytes)
  if ("why" in cut) return { omitted: bytes.length, why: cut.why }
  return cut === bytes ? body : writeBody(cut)
}

const lineOf = (line: CassetteLine, cutter: Cutter): CassetteLine => {
  if (!("request" in line)) return line
  const { answer, request, stream } = line
  const { body: sent, ...requestRest } = request
  const { body: answered, ...answerRest } = answer
  const [cutSent, cutAnswered] = [bodyOf(sent, cutter), bodyOf(answered, cutter)]
  return {
    stream,
    request: {
      ...requestRest,
      url: cutter.text(request.url),
      headers: cutter.headers(request.headers),
      ...(cutSent === undefined ? {} : { body: cutSent })
    },
    answer: {
      ...answerRest,
      headers: cutter.headers(answer.headers),
      ...(cutAnswered === undefined ? {} : { body: cutAnswered })
    }
  }
}

/** A cassette's text, cut once more with all that the cutter has learnt since. */
export const recut = (text: string, cutter: Cutter): string =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => writeLine(lineOf(decodeLine(line), cutter)))
    .join("")
