import { createContext, type ReactNode, useContext } from 'react'
import { useGet } from '~/api/get'
import type { Shape } from '~/api/types'
import { ErrorBox } from '~/parts/ErrorBox'

/** Who is logged in, for which account, and what the server offers: GET /v1/server. */
export type Who = Shape<'Server'>

const Known = createContext<Who | null>(null)

/** Who is logged in. `owner` = of the installation; `scopes` is what she may do. */
export function useWho(): Who {
  const who = useContext(Known)
  if (!who) throw new Error('useWho before anybody is known')
  return who
}

/** Asks once who is logged in; nothing below it renders before that is known. */
export function Whoever({ children }: { children: ReactNode }) {
  const { data, error, again } = useGet('/v1/server')
  if (data) return <Known.Provider value={data}>{children}</Known.Provider>
  if (!error) return null
  return (
    <main style={{ maxWidth: '34rem', margin: '4rem auto', padding: '0 1rem' }}>
      <ErrorBox error={error} retry={again} />
    </main>
  )
}
