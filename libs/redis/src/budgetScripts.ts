import { mostLimits } from "@tributary/vault"
import { Schema } from "effect"
import { script } from "./Script.ts"

/** Milliseconds after which a process that was not heard of does not count any more among those who share a budget. */
export const memory = 60_000

/**
 * The time, and the mark that tells whether the server still has the data that a process knows: `born` is made with the first
 * request and has no end, so another one means that everything was lost in between.
 */
const begin = `
  local function text(number) return string.format('%.0f', number) end
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local born = redis.call('GET', KEYS[1])
  if not born then
    born = text(now)
    redis.call('SET', KEYS[1], born)
  end
  local function join(key, process)
    redis.call('ZADD', key, text(now), process)
    redis.call('ZREMRANGEBYSCORE', key, '-inf', text(now - ${memory * 1000}))
    redis.call('PEXPIRE', key, ${2 * memory})
    local members = redis.call('ZRANGE', key, 0, -1)
    local rank = 0
    for _, member in ipairs(members) do
      if member < process then rank = rank + 1 end
    end
    return #members, rank
  end
`

/**
 * Reserves the next time at which a request may be sent: a set holds the times of the last period and those reserved, by the
 * clock of the server in microseconds. The new time is the earliest that is a period after that of the request before
 * `requests` others, so no span of a period ever holds more than `requests`. A set that lies further ahead than those who
 * share it can explain was made under another clock; it is begun anew after one period. Nothing is reserved if the server lost
 * the data that the process knows.
 *
 * KEYS born, sharers, times, pause. ARGV process, the `born` that it knows or nothing, name of the reservation, requests,
 * period.
 * Gives { microseconds to wait, or -1 if nothing was reserved; number of sharers; rank of the process among them; born }.
 */
export const reserve = script(`${begin}
  local sharers, rank = join(KEYS[2], ARGV[1])
  if ARGV[2] ~= '' and ARGV[2] ~= born then return { -1, sharers, rank, born } end
  local requests, period = tonumber(ARGV[4]), tonumber(ARGV[5])

  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', text(now - period))

  local slot = math.max(now, tonumber(redis.call('GET', KEYS[4])) or 0)
  local last = redis.call('ZREVRANGE', KEYS[3], requests - 1, requests - 1, 'WITHSCORES')[2]
  if last then
    if tonumber(last) > slot + period * (1 + sharers) then
      redis.call('DEL', KEYS[3])
      slot = slot + period
    else
      slot = math.max(slot, last + period)
    end
  end
  redis.call('ZADD', KEYS[3], text(slot), ARGV[3])
  local newest = redis.call('ZREVRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2]
  redis.call('PEXPIRE', KEYS[3], text(math.ceil((newest - now + period) / 1000) + 1000))
  return { slot - now, sharers, rank, born }
`)

/**
 * Takes note of requests that were sent without Redis. Their names make it harmless to say it twice.
 *
 * KEYS times. ARGV period, then name and age of each request. Gives their number.
 */
export const tell = script(`
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  for index = 2, #ARGV, 2 do
    redis.call('ZADD', KEYS[1], string.format('%.0f', now - ARGV[index + 1]), ARGV[index])
  end
  if redis.call('PTTL', KEYS[1]) < ARGV[1] / 1000 then
    redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(ARGV[1] / 1000) + 1000))
  end
  return (#ARGV - 1) / 2
`)

/**
 * Says that a process goes on sharing budgets.
 *
 * KEYS born, sharers of each budget. ARGV process. Gives { born, number of sharers and rank of the process for each }.
 */
export const attend = script(`${begin}
  local reply = { born }
  for index = 2, #KEYS do
    local sharers, rank = join(KEYS[index], ARGV[1])
    reply[#reply + 1] = sharers
    reply[#reply + 1] = rank
  end
  return reply
`)

/**
 * Asks whether a reserved time has come. It is given up, and -1 is the answer, if it is gone, if a pause came in between, or
 * if it passed too long ago to count for a request sent now.
 *
 * KEYS times, pause. ARGV name of the reservation, tolerated delay. Gives microseconds that are left to wait, or -1.
 */
export const confirm = script(`
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local slot = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or nil)
  if not slot then return -1 end
  local paused = tonumber(redis.call('GET', KEYS[2])) or 0
  if slot < paused or now - slot > tonumber(ARGV[2]) then
    redis.call('ZREM', KEYS[1], ARGV[1])
    return -1
  end
  return math.max(0, slot - now)
`)

/**
 * Limits that the API told of: a hash with, of each, what is left, until when (microseconds), and whether one request is to find out
 * what is left after a reset. As `Allowances` of the vault, which says why.
 */
const limits = `
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local function read(value)
    local left, till, probe = string.match(value, '^(-?%d+) (%d+) (%d)$')
    return tonumber(left), tonumber(till), probe == '1'
  end
  local function write(key, name, left, till, probe)
    redis.call('HSET', key, name, string.format('%d %.0f %d', left, till, probe and 1 or 0))
  end
`

/** KEYS limits. ARGV name, remaining and microseconds until the reset of each. */
export const learnLimits = script(`${limits}
  local latest = now
  for index = 1, #ARGV, 3 do
    local remaining, reset = math.floor(tonumber(ARGV[index + 1])), now + ARGV[index + 2]
    local value = redis.call('HGET', KEYS[1], ARGV[index])
    if value then
      local left, till, probe = read(value)
      if not probe and now < till then
        remaining, reset = math.min(left, remaining), math.min(till, reset)
      end
    end
    if value or redis.call('HLEN', KEYS[1]) < ${mostLimits} then
      write(KEYS[1], ARGV[index], remaining, reset, false)
      latest = math.max(latest, reset)
    end
  end
  if redis.call('PTTL', KEYS[1]) < (latest - now) / 1000 then
    redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil((latest - now) / 1000) + 10000))
  end
  return 0
`)

/** KEYS pause, limits. ARGV microseconds for a probe. Counts a request and gives 0, or microseconds until it may be sent. */
export const spend = script(`${limits}
  local wait = math.max(0, (tonumber(redis.call('GET', KEYS[1])) or 0) - now)
  local all = redis.call('HGETALL', KEYS[2])
  local kept = {}
  for index = 1, #all, 2 do
    local left, till, probe = read(all[index + 1])
    if now >= till and probe then
      redis.call('HDEL', KEYS[2], all[index])
    else
      if now >= till then left, till, probe = 1, now + ARGV[1], true end
      if left <= 0 then wait = math.max(wait, till - now) end
      kept[#kept + 1] = { all[index], left, till, probe }
    end
  end
  if wait > 0 then return wait end
  for _, one in ipairs(kept) do write(KEYS[2], one[1], one[2] - 1, one[3], one[4]) end
  return 0
`)

/** KEYS pause. ARGV milliseconds. Lengthens the pause. */
export const lengthen = script(`
  local time = redis.call('TIME')
  local till = time[1] * 1000000 + time[2] + ARGV[1] * 1000
  if till > (tonumber(redis.call('GET', KEYS[1])) or 0) then
    redis.call('SET', KEYS[1], string.format('%.0f', till), 'PX', ARGV[1])
  end
  return 0
`)

export const decodeReservation = Schema.decodeUnknownSync(
  Schema.Tuple([Schema.Int, Schema.Int, Schema.Int, Schema.String])
)
export const decodeAttendance = Schema.decodeUnknownSync(
  Schema.TupleWithRest(Schema.Tuple([Schema.String]), [Schema.Int])
)
export const decodeMicros = Schema.decodeUnknownSync(Schema.Int)
