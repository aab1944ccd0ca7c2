/** What kafkajs gives to a way of logging in: sends bytes, which begin with their length, and gives what is answered. */
interface SaslExchange {
  readonly saslAuthenticate: (step: {
    readonly request: { readonly encode: () => Promise<Buffer> }
    readonly response: {
      readonly decode: (answer: Buffer) => Promise<Buffer>
      readonly parse: (answer: Buffer) => Promise<Buffer>
    }
  }) => Promise<Buffer>
}

/** A login that the broker refused; the name is kafkajs' own, by which it is known to be final. */
class LoginRefused extends Error {
  override readonly name = "KafkaJSSASLAuthenticationError"
}

/**
 * Logs in by OAUTHBEARER (RFC 7628) with a token that is asked for each time. kafkajs' own way does not look at the answer, and goes on
 * without being logged in when the token was refused: the brokers then show it an empty cluster.
 */
export const bearerLogin =
  (token: () => Promise<string>) =>
  ({ saslAuthenticate }: SaslExchange) => ({
    authenticate: async () => {
      const message = Buffer.from(`n,,\u0001auth=Bearer ${await token()}\u0001\u0001`)
      const length = Buffer.alloc(4)
      length.writeInt32BE(message.length)
      const answer = await saslAuthenticate({
        request: { encode: () => Promise.resolve(Buffer.concat([length, message])) },
        response: { decode: (answer) => Promise.resolve(answer), parse: (answer) => Promise.resolve(answer) }
      })
      if (answer.length > 4)
        throw new LoginRefused(`SASL OAUTHBEARER authentication failed: ${answer.toString("utf8", 4)}`)
    }
  })
