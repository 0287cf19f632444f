import { Anchor, Button, Divider, PasswordInput, TextInput } from '@mantine/core'
import { useContext, useEffect, useRef, useState } from 'react'
import { Link, Redirect, useLocation } from 'wouter'
import { useAction } from '~/api/action'
import { type ApiError, asError } from '~/api/error'
import { useGet } from '~/api/get'
import { beginOidc, byPassword, finishOidc, type Returned, returned } from '~/api/login'
import { endedBefore, useToken, wanted } from '~/api/session'
import { Door } from '~/layout/door'
import { ErrorBox } from '~/parts/ErrorBox'
import { Snippet } from '~/parts/Snippet'
import { Forgotten } from './forgotten'
import { Refused } from './refused'
import { Tie } from './tie'

/** All ways in: a password, a one-time link of the terminal, a login elsewhere. */
export default function Login() {
  const token = useToken()
  const { data: doors } = useGet('/v1/login')
  const back = useReturn()
  const [forgot, setForgot] = useState(false)
  if (token) return <Redirect to={wanted()} replace />
  if (back.tie) return <Tie came={back.tie} onLeave={back.leave} />
  if (forgot) return <Forgotten onLeave={() => setForgot(false)} />
  const foot = (
    <>
      <p>On the machine of the server, or wherever picloud is set up, this prints a link that logs you in once:</p>
      <Snippet code="picloud login-link" />
      {doors?.sign_up === 'open' && (
        <p style={{ marginTop: '1rem' }}>
          Nobody yet?{' '}
          <Anchor component={Link} href="/signup" size="sm">
            Sign up
          </Anchor>
        </p>
      )}
    </>
  )
  return (
    <Door title="Log in" about={endedBefore() && 'Your session has ended. Log in again to go on where you were.'} foot={foot}>
      {back.under ? <p role="status">One moment…</p> : <ByPassword former={back.error} onForgot={doors?.forgotten ? () => setForgot(true) : undefined} />}
      {doors?.oidc && !back.under && <Elsewhere />}
    </Door>
  )
}

function ByPassword({ former, onForgot }: { former: ApiError | undefined; onForgot: (() => void) | undefined }) {
  const refused = useContext(Refused)
  const [user, setUser] = useState('')
  const [password, setPassword] = useState('')
  const enter = useAction(() => byPassword(user.trim(), password), { quiet: true })
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        void enter.run()
      }}
    >
      <ErrorBox error={enter.error ?? former ?? refused} />
      <TextInput label="Name or e-mail address" autoComplete="username" required withAsterisk={false} value={user} onChange={(event) => setUser(event.currentTarget.value)} />
      <PasswordInput label="Password" autoComplete="current-password" required withAsterisk={false} value={password} onChange={(event) => setPassword(event.currentTarget.value)} visibilityToggleButtonProps={{ 'aria-label': 'Show the password' }} />
      <Button type="submit" size="sm" loading={enter.busy}>
        Log in
      </Button>
      {onForgot && (
        <Anchor component="button" type="button" size="sm" onClick={onForgot} style={{ alignSelf: 'center' }}>
          Forgot your password?
        </Anchor>
      )}
    </form>
  )
}

function Elsewhere() {
  const begin = useAction(beginOidc)
  return (
    <>
      <Divider label="or" my="md" />
      <Button variant="default" size="sm" fullWidth loading={begin.busy} onClick={() => void begin.run()}>
        Log in by OpenID Connect
      </Button>
    </>
  )
}

interface Back {
  under: boolean
  error: ApiError | undefined
  /** Who came back has a password here and has to show it once. */
  tie: Returned | undefined
  leave: () => void
}

/** Somebody who comes back from a provider: its answer is in the address, is taken out of it, and used once. */
function useReturn(): Back {
  const [, go] = useLocation()
  const [search] = useState(() => (new URLSearchParams(location.search).has('state') ? location.search : ''))
  const [error, setError] = useState<ApiError>()
  const [tie, setTie] = useState<Returned>()
  const begun = useRef(false)
  useEffect(() => {
    if (!search || begun.current) return
    begun.current = true
    history.replaceState(null, '', location.pathname)
    const finish = async () => {
      const came = returned(search)
      if (!came) return // the page is being left
      try {
        go(await finishOidc(came), { replace: true })
      } catch (thrown) {
        const failed = asError(thrown)
        if (failed.status === 409) setTie(came)
        setError(failed)
      }
    }
    finish().catch((thrown: unknown) => setError(asError(thrown)))
  }, [search, go])
  return { under: search !== '' && !error, error, tie, leave: () => setTie(undefined) }
}
