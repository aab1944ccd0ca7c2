import type { Answer, Body, Wrapping } from "./Answer.ts"
import { plainAnswer } from "./Answer.ts"
import type { Json } from "./Json.ts"
import { anyValue, mutated, type Random } from "./Mutate.ts"

const statuses = [
  200, 201, 202, 203, 204, 205, 206, 207, 226, 299, 300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 402, 403, 404,
  405, 406, 407, 408, 409, 410, 413, 415, 418, 421, 422, 425, 426, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505,
  511, 520, 599, 600, 799, 999
] as const

const oddHeaders: ReadonlyArray<readonly [string, string]> = [
  ["retry-after", "1"],
  ["retry-after", "-5"],
  ["retry-after", "99999999999999999999"],
  ["retry-after", "Wed, 21 Oct 2099 07:28:00 GMT"],
  ["retry-after", "soon"],
  ["retry-after", "0.001"],
  ["x-ratelimit-remaining", "0"],
  ["x-ratelimit-reset", "99999999999"],
  ["x-ratelimit-reset", "x"],
  ["ratelimit", "limit=1, remaining=0, reset=1"],
  ["location", "/elsewhere"],
  ["location", "@BASE@/loop"],
  ["location", "http://127.0.0.1:1/"],
  ["location", "file:///etc/passwd"],
  ["location", "//["],
  ["location", ""],
  ["link", '<@BASE@/items?page=2>; rel="next"'],
  ["link", '<@BASE@/items>; rel="next"'],
  ["link", "<>; rel=next"],
  ["link", '<http://other.invalid/>; rel="next"'],
  ["link", "<@BASE@/items?x=1>; rel=\"a b next\"; title*=UTF-8''x, <y"],
  ["link", "<".repeat(500)],
  ["x-next", "2"],
  ["x-next", ""],
  ["x-next", "\u00ff\u0001"],
  ["www-authenticate", 'Bearer error="invalid_token", error_description="@ECHO@"'],
  ["www-authenticate", 'Bearer error="insufficient_scope", scope="a b"'],
  ["www-authenticate", "\u00e9".repeat(100)],
  ["content-type", "text/html; charset=utf-16"],
  ["content-type", "application/xml"],
  ["content-type", "text/csv; charset=latin1"],
  ["content-type", "application/octet-stream"],
  ["content-type", ""],
  ["content-encoding", "gzip"],
  ["content-encoding", "gzip, br, gzip, gzip, gzip"],
  ["content-encoding", "zstd"],
  ["content-encoding", "nothing"],
  ["content-encoding", ",,,"],
  ["transfer-encoding", "gzip"],
  ["content-length", "5"],
  ["content-length", "99999999999999"],
  ["date", "Thu, 01 Jan 1970 00:00:00 GMT"],
  ["set-cookie", "a=b; Path=/"],
  ["x-odd", "a".repeat(5000)],
  ["x-twice", "1"],
  ["__proto__", "1"],
  ["constructor", "1"]
]

const rawAnswers: ReadonlyArray<string> = [
  "",
  "HTTP/1.1",
  "HTTP/1.1 200 OK\r\n",
  "HTTP/1.1 200 OK\r\n\r\n",
  "HTTP/9.9 200 OK\r\ncontent-length: 2\r\n\r\n[]",
  "HTTP/1.1 abc OK\r\n\r\n",
  "HTTP/1.1 000 OK\r\ncontent-length: 0\r\n\r\n",
  "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n[]",
  "HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n[]",
  "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n[]\r\n0\r\n\r\n",
  "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n[]",
  "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
  `HTTP/1.1 200 OK\r\nx-large: ${"a".repeat(40_000)}\r\ncontent-length: 2\r\n\r\n[]`,
  `HTTP/1.1 200 OK\r\n${"x-many: 1\r\n".repeat(3000)}content-length: 2\r\n\r\n[]`,
  "HTTP/1.1 200 OK\r\nbad header\r\n\r\n[]",
  "HTTP/1.1 200 OK\r\n folded: 1\r\ncontent-length: 2\r\n\r\n[]",
  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: <a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
  "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
  "<html><title>not HTTP</title></html>",
  "\u0016\u0003\u0001\u0002\u0000",
  "SSH-2.0-OpenSSH_9.6\r\n"
]

const largeBodies = (random: Random): Body => {
  const times = random.pick([1000, 20_000, 200_000, -1])
  return random.pick<Body>([
    { head: "[", unit: '{"id":1,"updated_at":"2026-01-01T00:00:00Z"},', tail: '{"id":2}]', times },
    { head: '{"data":[', unit: '{"id":1},', tail: '{"id":2}],"next":"x"}', times },
    { head: "", unit: "[", tail: "", times },
    { head: "", unit: '{"a":', tail: "1", times },
    { head: '"', unit: "x", tail: '"', times },
    { head: "", unit: " ", tail: "[]", times },
    { head: "", unit: "9", tail: "", times },
    { head: "", unit: '{"id":1}\n', tail: "", times },
    { head: "id,a\n", unit: "1,2\n", tail: "", times },
    { head: 'id,a\n1,"', unit: "x", tail: '"\n', times },
    { head: "<r>", unit: "<a><id>1</id></a>", tail: "</r>", times },
    { head: "", unit: "<a>", tail: "", times },
    { head: '<!DOCTYPE x [<!ENTITY a "aaaa">', unit: '<!ENTITY b "&a;&a;">', tail: "]><r>&b;</r>", times },
    { head: '{"data":[{"id":"', unit: "\\u0041", tail: '"}]}', times }
  ])
}

const wrappings: ReadonlyArray<Wrapping> = ["gzip", "deflate", "br", "zstd", "zip"]

const damagedText = (text: string, random: Random): string => {
  const at = random.below(text.length + 1)
  switch (random.below(6)) {
    case 0:
      return text.slice(0, at)
    case 1:
      return (
        text.slice(0, at) +
        random.pick(["\u0000", '"', "{", "]", ",", "NaN", "\\", "@ECHO@", "\ufeff", "1e", "tru"]) +
        text.slice(at)
      )
    case 2:
      return text.slice(0, at) + text.slice(at + 1 + random.below(5))
    case 3:
      return `\ufeff${text}`
    case 4:
      return text + text
    default:
      return text.replace('"id"', '"id":1,"id"')
  }
}

/** The answer with one thing wrong or odd about it. */
const odder = (answer: Answer, random: Random): Answer => {
  const text = "text" in answer.body ? answer.body.text : ""
  switch (random.below(14)) {
    case 0:
      return { ...answer, status: random.pick(statuses) }
    case 1:
    case 2:
      return { ...answer, headers: [...answer.headers, random.pick(oddHeaders)] }
    case 3:
      return { ...answer, body: { text: JSON.stringify(anyValue(random)) } }
    case 4:
    case 5:
      return { ...answer, body: { text: damagedText(text, random) } }
    case 6: {
      const value: Json | undefined = parsed(text)
      return value === undefined ? answer : { ...answer, body: { text: JSON.stringify(mutated(value, random)) } }
    }
    case 7: {
      const wrap = [random.pick(wrappings)]
      const tells = random.below(2) === 0
      return {
        ...answer,
        wrap,
        headers: tells ? [...answer.headers, ["content-encoding", wrap[0] ?? ""]] : answer.headers,
        garbled: random.below(2) === 0 ? [random.next()] : []
      }
    }
    case 8:
      return { ...answer, breaks: random.pick([0, 0.1, random.next(), 0.99]) }
    case 9:
      return { ...answer, framing: random.pick(["chunked", "close", "lie", "none"] as const) }
    case 10:
      return random.below(4) === 0
        ? { ...answer, body: largeBodies(random), wrap: random.below(4) === 0 ? [random.pick(wrappings)] : [] }
        : {
            ...answer,
            status: random.pick([301, 302, 307, 308, 303]),
            headers: [
              ...answer.headers,
              random.pick(oddHeaders),
              ["location", random.pick(["/a", "/items", "@BASE@/b", "?x=1", "http://127.0.0.2:9/", "//:", "ftp://x/"])]
            ]
          }
    case 11:
      return random.below(3) === 0
        ? { ...answer, raw: random.pick(rawAnswers) }
        : { ...answer, body: { base64: Buffer.from(text, "utf16le").toString("base64") } }
    case 12:
      return random.below(3) === 0
        ? { ...answer, wait: random.pick([50, 700]), trickle: random.pick([0, 20]) }
        : { ...answer, body: { base64: Buffer.from(text, "latin1").toString("base64") } }
    default:
      return {
        ...answer,
        body: {
          text: random.pick([
            "",
            " ",
            "null",
            "[]",
            "{}",
            "0",
            '""',
            "true",
            "{",
            "\u0000",
            "<html><title>Sorry @ECHO@</title></html>",
            '{"error":{"message":"@ECHO@"}}',
            '{"ok":false,"error":"quota"}',
            "id,a\n1",
            "<r/>"
          ])
        }
      }
  }
}

/** An answer that is wrong, or odd, in one or more ways; `page` is what the API would answer if all were well. */
export const oddAnswer = (page: Answer, random: Random, ways = 1): Answer => {
  let answer = page
  for (let way = 0; way < ways; way++) answer = odder(answer, random)
  return answer
}

const parsed = (text: string): Json | undefined => {
  try {
    const value: Json = JSON.parse(text)
    return value
  } catch {
    return undefined
  }
}

/** What answers requests of a path that no page belongs to. */
export const nothingThere: Answer = { ...plainAnswer('{"message":"there is nothing here"}'), status: 404 }
