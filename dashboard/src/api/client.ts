import { ApiError, refusal, unreachable } from './error'
import { expired, token } from './session'
import type { Answer, Body, GetPath, Params, PostPath } from './types'

type Loose = Record<string, string | number | boolean | null | undefined>

/** The address of a route: `{names}` are filled, the rest becomes the query, what is undefined, null or "" is left out. */
export function address(path: string, params: unknown = {}): string {
  const given = params as Loose
  const named = new Set<string>()
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
    named.add(name)
    return encodeURIComponent(String(given[name] ?? ''))
  })
  const query = new URLSearchParams()
  for (const name of Object.keys(given).sort()) {
    const value = given[name]
    if (!named.has(name) && value !== undefined && value !== null && value !== '') query.set(name, String(value))
  }
  return query.size ? `${filled}?${query}` : filled
}

/** Any request to the API with the session's token. A token that opens nothing any more ends the session.
 *
 * @throws ApiError for whatever is not a good answer, except that an abort stays the browser's AbortError.
 */
export async function request(url: string, options: RequestInit = {}): Promise<Response> {
  const shown = token()
  const headers = new Headers(options.headers)
  if (shown) headers.set('authorization', `Bearer ${shown}`)
  let answer: Response
  try {
    answer = await fetch(url, { ...options, headers, credentials: 'omit', cache: 'no-store' })
  } catch (thrown) {
    if (options.signal?.aborted) throw thrown
    throw unreachable()
  }
  if (answer.ok) return answer
  const error = await refusal(answer)
  if (answer.status === 401 && shown) expired(shown)
  throw error
}

async function read(answer: Response): Promise<unknown> {
  const text = await answer.text()
  if (!text) return {}
  try {
    return JSON.parse(text)
  } catch {
    throw new ApiError({ message: 'the answer cannot be read', hint: 'is there something between this page and the server?' }, answer.status)
  }
}

/** GET, once: `get('/v1/job', { limit: 5 })`. */
export async function get<P extends GetPath>(path: P, params?: Params<P>, signal?: AbortSignal): Promise<Answer<P>> {
  return (await read(await request(address(path, params), { signal }))) as Answer<P>
}

/** POST: `post('/v1/job/kill', { jids: [[5, 1]] })`. */
export async function post<P extends PostPath>(path: P, body: Body<P>, params?: Params<P, 'post'>): Promise<Answer<P, 'post'>> {
  const options = { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  return (await read(await request(address(path, params), options))) as Answer<P, 'post'>
}
