// Numbers as people read them. Everything on the wire is in ms, bytes, and amounts of wire/money.py.

/** An amount on the wire that is one dollar. */
export const DOLLAR = 3_600_000 * 1_000_000

const SIZES = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** 300 MiB, 1.5 GiB. */
export function bytes(size: number): string {
  let at = 0
  let value = Math.abs(size)
  while (value >= 1024 && at < SIZES.length - 1) {
    value /= 1024
    at++
  }
  return `${size < 0 ? '-' : ''}${at && value < 99.95 ? Number(value.toFixed(1)) : Math.round(value)} ${SIZES[at]}`
}

/** To the cent, and where that is little, to the hundredth of one. */
export function money(amount: number): string {
  const value = Math.abs(amount) / DOLLAR
  const sign = amount < 0 ? '-' : ''
  if (value === 0 || value >= 0.1) return `${sign}$${value.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`
  return value >= 0.0001 ? `${sign}$${value.toFixed(4)}` : `${sign ? '> -' : '< '}$0.0001`
}

/** 1,234,567. */
export const count = (value: number): string => value.toLocaleString('en-US')

/** 950, 12.3k, 1.2M: for axes and tight places. */
export const short = (value: number): string =>
  value.toLocaleString('en-US', { notation: 'compact', maximumFractionDigits: Math.abs(value) < 10 ? 2 : 1 })

/** 12 ms, 3.4 s, 5 min 12 s, 2 h 5 min, 3 d 4 h. */
export function duration(ms: number): string {
  if (ms < 0) return `-${duration(-ms)}`
  if (ms < 1) return ms === 0 ? '0 s' : '< 1 ms'
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1).replace(/\.0$/, '')} s`
  const seconds = Math.round(ms / 1000)
  const pair = (whole: number, large: string, rest: number, small: string) => (rest ? `${whole} ${large} ${rest} ${small}` : `${whole} ${large}`)
  if (seconds < 3600) return pair(Math.floor(seconds / 60), 'min', seconds % 60, 's')
  const minutes = Math.floor(seconds / 60)
  if (minutes < 1440) return pair(Math.floor(minutes / 60), 'h', minutes % 60, 'min')
  return pair(Math.floor(minutes / 1440), 'd', Math.floor((minutes % 1440) / 60), 'h')
}

/** "just now", "5 min ago", "in 2 h". */
export function ago(at: number, now: number): string {
  const apart = Math.abs(now - at)
  if (apart < 5000) return 'just now'
  const [size, unit] = UNITS.find(([size]) => apart >= size) ?? [1000, 's']
  const said = `${Math.floor(apart / size)} ${unit}`
  return at > now ? `in ${said}` : `${said} ago`
}

const UNITS: [number, string][] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
]

const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' })
const DATE = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' })

/** The whole moment in the user's zone. */
export const moment = (ms: number): string => DAY.format(ms)

/** The time of today, or the day and the time. */
export const time = (ms: number, now = Date.now()): string =>
  (new Date(ms).toDateString() === new Date(now).toDateString() ? CLOCK : DATE).format(ms)
