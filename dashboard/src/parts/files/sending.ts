// How bytes go up: one request with progress, and a file in one or many of them.

import { address, get, post } from '~/api/client'
import { ApiError, refusal, unreachable } from '~/api/error'
import { expired, token } from '~/api/session'

/** Files up to here go in one request. */
export const SMALL = 8 << 20
/** Bytes of a part of a larger one: what is sent again when a connection breaks. */
const PART = 16 << 20
/** Parts under way at once. */
const ABREAST = 3
const TRIES = 6

export interface Sending {
  file: File
  key: string
  volume: string
  /** What is there under that key may go. */
  replace: boolean
  stop: AbortSignal
  /** Bytes so far. */
  told: (sent: number) => void
}

/** Store a file under a key.
 *
 * @throws ApiError with the code "conflict" where something is there already; an AbortError once it was stopped.
 */
export async function send(one: Sending): Promise<void> {
  if (one.file.size <= SMALL) await again(one.stop, () => whole(one))
  else await inParts(one)
}

function headers({ file, replace }: Sending): Record<string, string> {
  return { ...(file.type && { 'content-type': file.type }), ...(!replace && { 'if-none-match': '*' }) }
}

function whole(one: Sending): Promise<void> {
  const url = address('/v1/bucket/{key}', { key: one.key, volume: one.volume })
  return put(url, one.file, { ...headers(one), authorization: `Bearer ${token()}` }, one.stop, one.told)
}

async function inParts(one: Sending): Promise<void> {
  if (!one.replace) await free(one)
  const count = Math.ceil(one.file.size / PART)
  const blobs = Array.from({ length: count }, () => '')
  const sent = blobs.map(() => 0)
  let next = 0
  const failed = new AbortController() // the first part that fails for good stops the others
  const stop = AbortSignal.any([one.stop, failed.signal])
  const worker = async () => {
    for (let at = next++; at < count; at = next++) {
      const piece = one.file.slice(at * PART, (at + 1) * PART)
      blobs[at] = await again(stop, () =>
        part(piece, stop, (bytes) => {
          sent[at] = bytes
          one.told(sent.reduce((a, b) => a + b, 0))
        }),
      )
    }
  }
  try {
    await Promise.all(Array.from({ length: ABREAST }, worker))
  } catch (error) {
    failed.abort()
    throw error
  }
  await again(one.stop, () => compose(one, blobs))
}

/** Tell before anything is sent that something is in the way. */
async function free({ key, volume, stop }: Sending): Promise<void> {
  try {
    await get('/v1/file/{key}', { key, volume }, stop)
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return
    throw error
  }
  throw new ApiError({ code: 'conflict', message: 'there is something of that name already', hint: 'replace it, or leave it out' }, 409)
}

/** One part, at a place of its own: whatever an attempt before left half done is swept by the server. */
async function part(piece: Blob, stop: AbortSignal, told: (sent: number) => void): Promise<string> {
  const [place] = (await post('/v1/blob', { sizes: [piece.size] })).blobs
  if (!place) throw new ApiError({ message: 'the server has given no place for a part', retry: true }, 0)
  await put(place.url, piece, {}, stop, told)
  return place.id
}

function compose(one: Sending, blobs: string[]): Promise<void> {
  const url = address('/v1/bucket/{key}', { key: one.key, volume: one.volume })
  const body = JSON.stringify({ blobs, headers: one.file.type ? { 'content-type': one.file.type } : {} })
  const said = { ...headers(one), 'content-type': 'application/json', authorization: `Bearer ${token()}` }
  return put(url, new Blob([body]), said, one.stop, () => undefined, 'POST')
}

/** What may succeed later is tried again, after longer and longer pauses. */
async function again<A>(stop: AbortSignal, act: () => Promise<A>): Promise<A> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act()
    } catch (error) {
      const hopeful = error instanceof ApiError && (error.retry || error.status === 0 || error.status >= 500)
      if (stop.aborted || !hopeful || attempt === TRIES) throw error
      await pause(2 ** attempt * 250 * (0.75 + Math.random() / 2), stop)
    }
  }
}

const pause = (ms: number, stop: AbortSignal) =>
  new Promise<void>((resolve, reject) => {
    const timer = setTimeout(done, ms)
    function done() {
      stop.removeEventListener('abort', left)
      resolve()
    }
    function left() {
      clearTimeout(timer)
      reject(stop.reason as Error)
    }
    stop.addEventListener('abort', left, { once: true })
  })

/** A request that tells how much of it has gone; fetch cannot. */
function put(url: string, body: Blob, said: Record<string, string>, stop: AbortSignal, told: (sent: number) => void, method = 'PUT'): Promise<void> {
  return new Promise((resolve, reject) => {
    const link = new XMLHttpRequest()
    const left = () => link.abort()
    link.open(method, url)
    for (const [name, value] of Object.entries(said)) link.setRequestHeader(name, value)
    link.upload.onprogress = (event) => told(event.loaded)
    link.onerror = () => reject(unreachable())
    link.onabort = () => reject((stop.reason as Error | undefined) ?? new DOMException('stopped', 'AbortError'))
    link.onloadend = () => stop.removeEventListener('abort', left)
    link.onload = () => {
      if (link.status >= 200 && link.status < 300) {
        told(body.size)
        resolve()
        return
      }
      if (link.status === 401 && said.authorization) expired(token())
      refusal(new Response(link.responseText, { status: link.status, statusText: link.statusText })).then(reject, reject)
    }
    if (stop.aborted) {
      reject(stop.reason as Error)
      return
    }
    stop.addEventListener('abort', left, { once: true })
    // Without a type of its own, so that only what is said above tells one.
    link.send(body.slice())
  })
}
