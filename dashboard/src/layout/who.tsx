import { createContext, type ReactNode, useContext, useMemo } from 'react'
import { useGet } from '~/api/get'
import type { Answer } from '~/api/types'
import { ErrorBox } from '~/parts/ErrorBox'

/** Who is logged in, for which account, and what the server offers. */
export type Who = Answer<'/v1/session'> & { server: Answer<'/v1/server'> }

const Known = createContext<Who | null>(null)

/** Who is logged in. `owner` = of the installation; `scopes` is what she may do. */
export function useWho(): Who {
  const who = useContext(Known)
  if (!who) throw new Error('useWho before anybody is known')
  return who
}

/** Asks once who is logged in; nothing below it renders before that is known. */
export function Whoever({ children }: { children: ReactNode }) {
  const { data, error: unknown, again } = useGet('/v1/session')
  const { data: server, error: silent, again: once } = useGet('/v1/server')
  const error = unknown ?? silent
  const who = useMemo(() => data && server && { ...data, server }, [data, server])
  if (who) return <Known.Provider value={who}>{children}</Known.Provider>
  if (!error) return null
  return (
    <main style={{ maxWidth: '34rem', margin: '4rem auto', padding: '0 1rem' }}>
      <ErrorBox error={error} retry={unknown ? again : once} />
    </main>
  )
}
