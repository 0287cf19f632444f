import { createContext, type ReactNode, useCallback, useContext, useEffect, useState, useSyncExternalStore } from 'react'
import { address } from './client'
import type { Read } from './get'
import { NOTHING, Stream } from './stream'
import type { Answer, GetPath, Params } from './types'

const Line = createContext<Stream | null>(null)

/** Keeps the one stream of the page for all `useLive` below it. */
export function Live({ children }: { children: ReactNode }) {
  const [stream] = useState(() => new Stream())
  useEffect(() => {
    stream.open()
    const seen = () => stream.show(!document.hidden)
    document.addEventListener('visibilitychange', seen)
    addEventListener('online', stream.retry)
    return () => {
      stream.close()
      document.removeEventListener('visibilitychange', seen)
      removeEventListener('online', stream.retry)
    }
  }, [stream])
  return <Line.Provider value={stream}>{children}</Line.Provider>
}

function useStream(): Stream {
  const stream = useContext(Line)
  if (!stream) throw new Error('useLive outside of Live')
  return stream
}

/** Whether the stream is broken, and what tries again at once. */
export function useConnection(): { broken: boolean; retry: () => void } {
  const stream = useStream()
  const broken = useSyncExternalStore(stream.listen, () => stream.broken)
  return { broken, retry: stream.retry }
}

/** Watches a route for as long as the component is there: `const { data } = useLive('/v1/job', { limit: 50 })`.
 *
 * When only the query changes (a filter, the next page) the former data stay until the new ones come, and `stale` says so.
 * @param path null = watch nothing.
 */
export function useLive<P extends GetPath>(path: P | null, params?: Params<P>): Read<Answer<P>> & { stale: boolean } {
  const stream = useStream()
  const url = path === null ? '' : address(path, params)
  useEffect(() => (url ? stream.watch(url) : undefined), [stream, url])
  const known = useSyncExternalStore(
    stream.listen,
    useCallback(() => (url ? stream.known(url) : NOTHING), [stream, url]),
  )
  const place = url.split('?')[0] ?? ''
  const [kept, keep] = useState<{ place: string; data: unknown }>()
  if (known.data !== undefined && (kept?.data !== known.data || kept.place !== place)) keep({ place, data: known.data })
  const stale = known.data === undefined && kept?.place === place && url !== '' && !known.error
  const data = (stale ? kept.data : known.data) as Answer<P> | undefined
  return { data, error: known.error, loading: url !== '' && known.loading && !stale, stale }
}
