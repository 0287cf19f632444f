// The one line on which everything comes that a page watches: POST /v1/view, newline-delimited JSON.

import { request } from './client'
import { ApiError, asError, told } from './error'

/** What is known of a watched address. */
export interface Known {
  data: unknown
  error: ApiError | undefined
  loading: boolean
}

export const NOTHING: Known = { data: undefined, error: undefined, loading: true }

interface Watched {
  users: number
  mark: string
  known: Known
  /** When nobody watched it any more; what came is kept for a while, for who comes back. */
  left: number
}

interface Line {
  path?: string
  mark?: string
  body?: unknown
  error?: unknown
}

/** Addresses that one stream may carry. */
const MOST = 32
/** ms; changes of the set within that time are one change. */
const GATHER = 20
/** ms without a sign of life after which a line counts as dead; one comes every 15 s. */
const SILENCE = 40_000
/** ms that a hidden page keeps its line, and what nobody watches is kept. */
const LINGER = 30_000
const FIRST_DELAY = 500
const LONGEST_DELAY = 10_000

export class Stream {
  private readonly watched = new Map<string, Watched>()
  private readonly heard = new Set<() => void>()
  private line: AbortController | undefined
  private timer: ReturnType<typeof setTimeout> | undefined
  private delay = 0
  private carried = ''
  private closed = false
  private _broken = false

  /** The line cannot be had at the moment. */
  get broken(): boolean {
    return this._broken
  }

  listen = (tell: () => void): (() => void) => {
    this.heard.add(tell)
    return () => this.heard.delete(tell)
  }

  known(url: string): Known {
    return this.watched.get(url)?.known ?? NOTHING
  }

  /** Watch an address until the function that comes back is called. */
  watch(url: string): () => void {
    const one = this.watched.get(url) ?? { users: 0, mark: '', known: NOTHING, left: 0 }
    one.users++
    this.watched.set(url, one)
    this.gather()
    return () => {
      one.users--
      one.left = Date.now()
      this.gather()
    }
  }

  /** Try again now. */
  retry = (): void => {
    this.delay = 0
    this.carried = ''
    this.gather(0)
  }

  /** The page is looked at again, or is hidden, where the line ends after a while. */
  show(visible: boolean): void {
    if (visible) {
      if (!this.line) this.retry()
    } else this.gather(LINGER)
  }

  close(): void {
    this.closed = true
    clearTimeout(this.timer)
    this.line?.abort()
  }

  open(): void {
    this.closed = false
    this.retry()
  }

  private gather(wait = GATHER): void {
    if (this.closed) return
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.renew(), wait)
  }

  private renew(): void {
    for (const [url, one] of this.watched) if (!one.users && Date.now() - one.left > LINGER) this.watched.delete(url)
    const live = [...this.watched].filter(([, one]) => one.users)
    for (const [, one] of live.slice(MOST)) this.put(one, { error: new ApiError({ message: `a page may watch ${MOST} things` }, 0) })
    const set = document.hidden ? [] : live.slice(0, MOST)
    const carried = set.map(([url]) => url).sort().join('\n')
    if (carried === this.carried && this.line) return
    this.line?.abort()
    this.line = undefined
    this.carried = carried
    if (set.length) void this.run(set.map(([path, one]) => ({ path, mark: one.mark })))
    else this.set(false)
  }

  private async run(watch: { path: string; mark: string }[]): Promise<void> {
    const line = new AbortController()
    this.line = line
    let alive = setTimeout(() => line.abort(), SILENCE)
    let lived = false
    try {
      const options = { method: 'POST', body: JSON.stringify({ watch }), headers: { 'content-type': 'application/json' } }
      const answer = await request('/v1/view', { ...options, signal: line.signal })
      await lines(answer, (text) => {
        clearTimeout(alive)
        alive = setTimeout(() => line.abort(), SILENCE)
        lived = true
        this.delay = 0
        if (this.line !== line) return
        this.set(false)
        this.take(JSON.parse(text) as Line)
      })
    } catch (thrown) {
      if (this.line === line && !line.signal.aborted) this.refused(asError(thrown), watch)
    } finally {
      clearTimeout(alive)
      if (this.line === line) this.again(lived)
    }
  }

  /** Once more after a while; a line that had lived gets one try before anybody is told. */
  private again(lived: boolean): void {
    this.line = undefined
    this.carried = ''
    if (this.closed) return
    if (!lived) this.set(true)
    this.delay = Math.min(LONGEST_DELAY, this.delay ? this.delay * 2 : FIRST_DELAY)
    this.gather(this.delay * (0.75 + Math.random() / 2))
  }

  /** An answer that is an error is no matter of the line: who watches is told. */
  private refused(error: ApiError, watch: { path: string }[]): void {
    if (!error.status || error.retry || error.status >= 500) return
    for (const { path } of watch) {
      const one = this.watched.get(path)
      if (one) this.put(one, { error })
    }
    this.tell()
  }

  private take(line: Line): void {
    const one = line.path === undefined ? undefined : this.watched.get(line.path)
    if (!one) return
    if (line.error !== undefined) {
      one.mark = ''
      this.put(one, { error: told({ error: line.error }) ?? told(line.error) ?? new ApiError({ message: 'this cannot be watched' }, 0) })
    } else {
      one.mark = line.mark ?? ''
      this.put(one, { data: line.body, error: undefined })
    }
    this.tell()
  }

  private put(one: Watched, change: Partial<Known>): void {
    one.known = { ...one.known, ...change, loading: false }
  }

  private set(broken: boolean): void {
    if (this._broken === broken) return
    this._broken = broken
    this.tell()
  }

  private tell(): void {
    this.heard.forEach((one) => one())
  }
}

/** Calls `take` with each line of a body as it comes. */
async function lines(answer: Response, take: (line: string) => void): Promise<void> {
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const piece = await reader?.read()
    if (!piece || piece.done) return
    const parts = (rest + piece.value).split('\n')
    rest = parts.pop() ?? ''
    for (const part of parts) if (part.trim()) take(part)
  }
}
