import { useSyncExternalStore } from 'react'
import { ago, bytes, count, duration, moment, money, time } from './format'

// One clock for all that shows how long ago something was.
let now = Date.now()
let ticking: ReturnType<typeof setInterval> | undefined
const heard = new Set<() => void>()

function listen(tell: () => void): () => void {
  heard.add(tell)
  now = Date.now()
  ticking ??= setInterval(() => {
    now = Date.now()
    heard.forEach((one) => one())
  }, 1000)
  return () => {
    heard.delete(tell)
    if (heard.size) return
    clearInterval(ticking)
    ticking = undefined
  }
}

/** The present in epoch ms; renders anew each second while `running`. */
export const useNow = (running = true): number => useSyncExternalStore(running ? listen : still, () => now)
const still = () => () => undefined

const Nothing = () => <span className="pc-dim">–</span>

interface At {
  /** Epoch ms; null and undefined show a dash. */
  at: number | null | undefined
}

/** "5 min ago", which stays true; the moment itself on hover. */
export function Ago({ at }: At) {
  const present = useNow(typeof at === 'number')
  if (typeof at !== 'number') return <Nothing />
  return (
    <time dateTime={new Date(at).toISOString()} title={moment(at)}>
      {ago(at, Math.max(present, now))}
    </time>
  )
}

/** The moment in the user's zone. */
export function Time({ at }: At) {
  if (typeof at !== 'number') return <Nothing />
  return (
    <time dateTime={new Date(at).toISOString()} title={moment(at)}>
      {time(at)}
    </time>
  )
}

/** How long something took, or takes: by `ms`, or since `from` (epoch ms) until `to`, which counts on while it is null. */
export function Duration({ ms, from, to }: { ms?: number | null; from?: number | null; to?: number | null }) {
  const counting = typeof ms !== 'number' && typeof from === 'number' && typeof to !== 'number'
  const present = useNow(counting)
  const length = typeof ms === 'number' ? ms : typeof from === 'number' ? (to ?? present) - from : undefined
  if (length === undefined) return <Nothing />
  return <span>{counting ? duration(Math.max(0, Math.floor(length / 1000) * 1000)) : duration(length)}</span>
}

interface Value {
  /** null and undefined show a dash. */
  value: number | null | undefined
}

/** A size of so many bytes. */
export const Bytes = ({ value }: Value) => (typeof value === 'number' ? <span title={`${count(value)} bytes`}>{bytes(value)}</span> : <Nothing />)

/** An amount as it comes over the wire (not dollars). */
export const Money = ({ value }: Value) => (typeof value === 'number' ? <span>{money(value)}</span> : <Nothing />)

/** A whole number with separators. */
export const Count = ({ value }: Value) => (typeof value === 'number' ? <span>{count(value)}</span> : <Nothing />)
