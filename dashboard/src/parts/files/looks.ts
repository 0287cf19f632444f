import { post, request } from '~/api/client'
import { ApiError, refusal, unreachable } from '~/api/error'
import type { Entry } from './names'

/** How something can be looked at without being saved. */
export type Look = 'image' | 'sound' | 'film' | 'table' | 'json' | 'text' | 'unknown'

/** Bytes of a text that are fetched at most. */
export const MOST = 256 << 10
/** A JSON value up to here is fetched whole, since a part of one cannot be laid out. */
const WHOLE = 2 << 20

const NAMES: [RegExp, Look][] = [
  [/\.(png|jpe?g|gif|webp|avif|bmp|ico|svg)$/i, 'image'],
  [/\.(mp3|ogg|oga|wav|flac|m4a)$/i, 'sound'],
  [/\.(mp4|webm|ogv|mov)$/i, 'film'],
  [/\.(csv|tsv)$/i, 'table'],
  [/\.(json|geojson|ipynb)$/i, 'json'],
  [/\.(txt|md|rst|log|ya?ml|toml|ini|cfg|conf|sh|py|js|ts|css|html?|xml|sql|r|c|h|cpp|rs|go|java|rb|php|tex|jsonl|ndjson)$/i, 'text'],
]

/** What an object is, by its type and its name. */
export function lookOf({ key, headers }: Pick<Entry, 'key' | 'headers'>): Look {
  const type = (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
  if (type.startsWith('image/')) return 'image'
  if (type.startsWith('audio/')) return 'sound'
  if (type.startsWith('video/') && !/\.ts$/i.test(key)) return 'film'
  if (type === 'text/csv' || type === 'text/tab-separated-values') return 'table'
  if (type === 'application/json') return 'json'
  const named = NAMES.find(([end]) => end.test(key))
  return named ? named[1] : type.startsWith('text/') ? 'text' : 'unknown'
}

/** The address of an object for some minutes; it needs no key. */
export const linkTo = async (key: string, volume: string, inline = false): Promise<string> => (await post('/v1/file/link', { key, volume, inline })).url

/** Have the browser save an object. */
export async function save(key: string, volume: string): Promise<void> {
  const link = document.createElement('a')
  link.href = await linkTo(key, volume)
  link.rel = 'noreferrer'
  link.click()
}

export interface Text {
  text: string
  /** Only its beginning. */
  cut: boolean
}

/** The beginning of an object as text.
 *
 * @throws ApiError with the code "binary" where it is none.
 */
export async function textOf(entry: Entry, volume: string, stop: AbortSignal): Promise<Text> {
  const most = lookOf(entry) === 'json' && entry.size <= WHOLE ? WHOLE : MOST
  const cut = entry.size > most
  const url = await linkTo(entry.key, volume, true)
  let answer: Response
  try {
    answer = await fetch(url, { signal: stop, credentials: 'omit', headers: cut ? { range: `bytes=0-${most - 1}` } : {} })
  } catch (thrown) {
    if (stop.aborted) throw thrown
    throw unreachable()
  }
  if (!answer.ok) throw await refusal(answer)
  const bytes = new Uint8Array(await answer.arrayBuffer())
  if (bytes.subarray(0, 8192).includes(0)) throw binary()
  try {
    // A letter may be cut in two at the end.
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: cut }), cut }
  } catch {
    if (lookOf(entry) === 'unknown') throw binary()
    return { text: new TextDecoder('latin1').decode(bytes), cut }
  }
}

const binary = () => new ApiError({ code: 'binary', message: 'this is not text', hint: 'download it to open it' }, 0)

/** How much lies in a folder, page by page; more than `most` are not counted.
 *
 * @param told called after each page.
 */
export async function count(folder: string, volume: string, told: (found: Counted) => void, stop: AbortSignal, most = 10_000): Promise<Counted> {
  const found: Counted = { files: 0, bytes: 0, more: true }
  for (let after = ''; found.more; ) {
    const query = new URLSearchParams({ prefix: folder, after, volume })
    const page = (await (await request(`/v1/bucket?${query}`, { signal: stop })).json()) as { objects: Entry[]; truncated: boolean }
    found.files += page.objects.length
    found.bytes += page.objects.reduce((sum, one) => sum + one.size, 0)
    found.more = page.truncated
    after = page.objects.at(-1)?.key ?? ''
    told({ ...found })
    if (found.files >= most) break
  }
  return found
}

export interface Counted {
  files: number
  bytes: number
  /** There are more than were counted. */
  more: boolean
}
