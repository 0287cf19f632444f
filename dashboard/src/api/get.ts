import { useCallback, useEffect, useRef, useState } from 'react'
import { address, get } from './client'
import { type ApiError, asError } from './error'
import type { Answer, GetPath, Params } from './types'

const place = (url: string) => url.split('?')[0]

export interface Read<A> {
  data: A | undefined
  error: ApiError | undefined
  /** Nothing has come yet, neither data nor an error. */
  loading: boolean
}

/** Reads a route once, and again when it or its parameters change. When only the query changes, the former data stay
 * until the new ones are there.
 *
 * @param path null = do not read yet.
 * @returns also `again()`, which reads it anew.
 */
export function useGet<P extends GetPath>(path: P | null, params?: Params<P>): Read<Answer<P>> & { again: () => void } {
  const url = path === null ? null : address(path, params)
  const [state, setState] = useState<{ url: string; data?: Answer<P>; error?: ApiError }>()
  const [turn, setTurn] = useState(0)
  const latest = useRef({ path, params })
  useEffect(() => {
    latest.current = { path, params }
  })
  useEffect(() => {
    const { path, params } = latest.current
    if (url === null || path === null) return
    const stop = new AbortController()
    get(path, params, stop.signal).then(
      (data) => setState({ url, data }),
      (thrown: unknown) => {
        if (!stop.signal.aborted) setState((former) => ({ url, data: former?.url === url ? former.data : undefined, error: asError(thrown) }))
      },
    )
    return () => stop.abort()
  }, [url, turn])
  const again = useCallback(() => setTurn((n) => n + 1), [])
  const own = url !== null && state && place(state.url) === place(url) ? state : undefined
  return { data: own?.data, error: own?.error, loading: url !== null && !own, again }
}
