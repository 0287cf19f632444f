import { notifications } from '@mantine/notifications'
import { useCallback, useEffect, useRef, useState } from 'react'
import { type ApiError, asError, sentence } from './error'

interface Options<A> {
  /** What to tell when it worked; nothing = tell nothing. */
  said?: string | ((answer: A) => string)
  /** What to do when it worked, such as reading something again or closing a dialog. */
  then?: (answer: A) => void
  /** Show errors in the page by `error` instead of in a notification. */
  quiet?: boolean
}

export interface Action<Args extends unknown[], A> {
  /** Does it; undefined = it failed, which has been shown. A second call while one is under way is ignored. */
  run: (...args: Args) => Promise<A | undefined>
  busy: boolean
  error: ApiError | undefined
}

export function tellError(error: ApiError): void {
  notifications.show({ color: 'red', title: sentence(error.message), message: sentence(error.hint), autoClose: 10_000, withBorder: true })
}

export function tell(message: string): void {
  notifications.show({ message, withBorder: true })
}

/** A post with all that belongs to it: `const kill = useAction((jid: number) => post('/v1/job/kill', ..), { said: 'Killed' })`, then `kill.run(5)`. */
export function useAction<Args extends unknown[], A>(act: (...args: Args) => Promise<A>, options: Options<A> = {}): Action<Args, A> {
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<ApiError>()
  const latest = useRef({ act, options })
  const under = useRef(false)
  useEffect(() => {
    latest.current = { act, options }
  })
  const run = useCallback(async (...args: Args) => {
    if (under.current) return undefined
    under.current = true
    setBusy(true)
    setError(undefined)
    try {
      const answer = await latest.current.act(...args)
      const { said, then } = latest.current.options
      if (said) tell(typeof said === 'function' ? said(answer) : said)
      then?.(answer)
      return answer
    } catch (thrown) {
      const failed = asError(thrown)
      setError(failed)
      if (!latest.current.options.quiet) tellError(failed)
      return undefined
    } finally {
      under.current = false
      setBusy(false)
    }
  }, [])
  return { run, busy, error }
}
