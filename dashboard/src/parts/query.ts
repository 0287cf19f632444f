import { useCallback, useMemo } from 'react'
import { useLocation } from 'wouter'
import { useSearch } from 'wouter/use-browser-location'

type Values<Name extends string> = { [N in Name]?: string }

/** What a page remembers in its address, so that it can be linked to: `const [query, setQuery] = useQuery('state', 'label')`.
 *
 * `setQuery({ state: 'error' })` changes some, leaves the others, and begins at the first page of <Pager> (`before` goes) unless told;
 * `push: true` makes a step that the back button undoes.
 */
export function useQuery<Name extends string>(...names: Name[]): [Values<Name>, (change: Values<Name>, options?: { push?: boolean }) => void] {
  const search = useSearch()
  const [, go] = useLocation()
  const list = names.join()
  const values = useMemo(() => {
    const found = new URLSearchParams(search)
    const all: Record<string, string | undefined> = {}
    for (const name of list.split(',')) all[name] = found.get(name) ?? undefined
    return all as Values<Name>
  }, [search, list])
  const change = useCallback(
    (change: Values<Name>, { push = false } = {}) => {
      const next = new URLSearchParams(location.search)
      next.delete('before') // a page of other rows
      for (const [name, value] of Object.entries(change) as [string, string | undefined][]) {
        if (value) next.set(name, value)
        else next.delete(name)
      }
      go(next.size ? `${location.pathname}?${next}` : location.pathname, { replace: !push })
    },
    [go],
  )
  return [values, change]
}
