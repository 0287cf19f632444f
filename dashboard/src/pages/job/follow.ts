// Reading along with a stream of a job for as long as the page is looked at: it begins anew where it broke off.

import { address, request } from '~/api/client'
import { asError, type ApiError } from '~/api/error'

const FIRST_DELAY = 500
const LONGEST_DELAY = 10_000
/** ms that a hidden page reads on; browsers allow six lines to a server for all pages together. */
const LINGER = 5000

interface Course {
  path: '/v1/job/{jid}/log' | '/v1/job/{jid}/samples'
  /** Of the next request; asked before each. */
  params: () => Record<string, string | number | boolean>
  take: (bytes: Uint8Array) => void
  /** Whether the job had ended before the stream did: then it is whole. */
  over: () => boolean
  /** The server refuses: nothing more will come. */
  refused: (error: ApiError) => void
  /** All was read. */
  done: () => void
}

/** Reads until all is read, or the function that comes back is called. */
export function follow(course: Course): () => void {
  const stop = new AbortController()
  void read(course, stop.signal)
  return () => stop.abort()
}

async function read(course: Course, stop: AbortSignal): Promise<void> {
  let delay = FIRST_DELAY
  while (!stop.aborted) {
    await seen(stop)
    const over = course.over()
    const line = new AbortController()
    const release = whileSeen(line, stop)
    try {
      const answer = await request(address(course.path, { ...course.params(), follow: true }), { signal: line.signal })
      delay = FIRST_DELAY
      await drain(answer, course.take)
      if (over) return course.done()
    } catch (thrown) {
      const error = asError(thrown)
      if (!line.signal.aborted && error.status >= 400 && error.status < 500 && !error.retry) return course.refused(error)
    } finally {
      release()
    }
    await pause(delay, stop)
    delay = Math.min(LONGEST_DELAY, delay * 2)
  }
}

async function drain(answer: Response, take: (bytes: Uint8Array) => void): Promise<void> {
  const reader = answer.body?.getReader()
  for (;;) {
    const piece = await reader?.read()
    if (!piece || piece.done) return
    take(piece.value)
  }
}

/** Until the page is looked at. */
async function seen(stop: AbortSignal): Promise<void> {
  while (document.hidden && !stop.aborted) {
    await new Promise<void>((done) => {
      document.addEventListener('visibilitychange', () => done(), { once: true })
      stop.addEventListener('abort', () => done(), { once: true })
    })
  }
}

/** Ends a line when nobody reads it any more, or the page has been hidden for a while. */
function whileSeen(line: AbortController, stop: AbortSignal): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  const end = () => line.abort()
  const look = () => {
    clearTimeout(timer)
    if (document.hidden) timer = setTimeout(end, LINGER)
  }
  stop.addEventListener('abort', end)
  document.addEventListener('visibilitychange', look)
  return () => {
    clearTimeout(timer)
    stop.removeEventListener('abort', end)
    document.removeEventListener('visibilitychange', look)
  }
}

const pause = (ms: number, stop: AbortSignal) =>
  new Promise<void>((done) => {
    const timer = setTimeout(done, ms)
    stop.addEventListener('abort', () => (clearTimeout(timer), done()), { once: true })
  })
